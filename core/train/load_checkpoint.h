// A model's parameters to a file and back, also from one of somebody else's training.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "core/train/parameters.h"

namespace starling::core {

/// Sets all values of `parameters`, statistics among them, from safetensors or from PyTorch's pickle (torch_pickle.h), which
/// the file's content tells apart. Names are those of the layout, all of them perhaps with "module." in front; of a pickle
/// that holds more than the model, its "state_dict". PyTorch's counts of batches (num_batches_tracked) are passed over.
/// Kind::malformed naming the file and a tensor that is missing, or that the model does not have, or that has another
/// shape; Kind::unsupported for other number types than F32, F16 and BF16 and for other files. After a failure
/// `parameters` are as before.
void load_checkpoint(Parameters& parameters, const std::filesystem::path& file);

/// All `values` of `layout` by their names, as safetensors.
void save_checkpoint(const std::filesystem::path& file, const ParameterLayout& layout, std::span<const float> values, const std::map<std::string, std::string>& metadata);

}  // namespace starling::core

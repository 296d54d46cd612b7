// A model's parameters from a file of somebody else's training.
#pragma once

#include <filesystem>

#include "core/train/parameters.h"

namespace starling::core {

/// Sets all values of `parameters`, statistics among them, from safetensors or from PyTorch's pickle (torch_pickle.h), which
/// the file's content tells apart. Names are those of the layout, all of them perhaps with "module." in front; of a pickle
/// that holds more than the model, its "state_dict". PyTorch's counts of batches (num_batches_tracked) are passed over.
/// Kind::malformed naming the file and a tensor that is missing, or that the model does not have, or that has another
/// shape; Kind::unsupported for other number types than F32, F16 and BF16 and for other files. After a failure
/// `parameters` are as before.
void load_checkpoint(Parameters& parameters, const std::filesystem::path& file);

}  // namespace starling::core

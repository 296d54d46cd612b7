// Which tensors a Llama model is made of, by the names of GGUF and of Hugging Face, and their shapes: the one
// table that readers and writers share.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/formats/outgoing.h"
#include "core/models/llama.h"

namespace starling::core {

struct BlockTensor {
  Tensor LlamaBlock::*member;
  const char* gguf;
  const char* hugging_face;
  enum class Role { norm, matrix, query, key } role;
};
std::span<const BlockTensor> block_tensors();

/// Expected shape of a block's tensor.
Shape block_shape(const LlamaConfig& config, const BlockTensor& tensor);

struct TensorNames {
  std::string embedding, output_norm, output;
  std::function<std::string(std::int64_t layer, const BlockTensor&)> block;
};
TensorNames gguf_names();
TensorNames hugging_face_names();

/// The tensor of that name; nullopt when the file has none.
using TensorLookup = std::function<std::optional<Tensor>(const std::string& name)>;

/// Fills ends and blocks of `model` by its config. Norms become f32. Kind::malformed naming `source` and the
/// tensor when one is missing or has another shape than the config asks for.
void fill_tensors(LlamaModel& model, const TensorNames& names, const TensorLookup& find, const std::string& source);

/// Kind::unsupported when `present` is no tensor of the model and not in `ignored`: leaving it out would
/// change the answers (biases, other norms, experts).
void refuse_unknown_tensors(std::span<const std::string> present, const LlamaConfig& config, const TensorNames& names,
                            std::span<const std::string_view> ignored, const std::string& source);

/// Every tensor of `model` to be written, matrices as `type` where their rows allow it, norms as f32.
/// `order` gives the row order of query and key matrices by their number of heads (empty: as they are).
std::vector<Outgoing> outgoing_tensors(const LlamaModel& model, const TensorNames& names, Type type,
                                       const std::function<RowOrder(std::int64_t heads)>& order = {});

}  // namespace starling::core

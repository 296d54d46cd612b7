// The tensors of a model in files: under the names of GGUF or of Hugging Face (models/llama_parts.h), alone, several in
// one, or the same of all experts in a stack.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/formats/outgoing.h"
#include "core/models/llama_parts.h"

namespace starling::core {

struct Family;

enum class Layout { gguf, hugging_face };

struct TensorNames {
  Layout layout = Layout::gguf;
  const Family* family = nullptr;  // of Hugging Face names, which families vary
  std::string embedding, output_norm, output;

  /// A block's tensor; in GGUF those of experts are in the stack of that name.
  std::string block(std::int64_t layer, const BlockPart& part, std::int64_t copy = 0) const;
  /// `rest` with what names of that block begin with.
  std::string of_layer(std::int64_t layer, std::string_view rest) const;
};
TensorNames gguf_names();
TensorNames hugging_face_names(const LlamaConfig& config);

/// The tensor of that name; nullopt when the file has none.
using TensorLookup = std::function<std::optional<Tensor>(const std::string& name)>;

/// Sets which biases `config` has by what the file `has` in its first block.
void find_biases(LlamaConfig& config, const TensorNames& names, const std::function<bool(const std::string& name)>& has);

/// Fills ends and blocks of `model` by its config. All but matrices become f32. Kind::malformed naming `source` and the
/// tensor when one is missing or has another shape than the config asks for.
void fill_tensors(LlamaModel& model, const TensorNames& names, const TensorLookup& find, const std::string& source);

/// Kind::unsupported when `present` is no tensor of the model and not in `ignored`: leaving it out would
/// change the answers.
void refuse_unknown_tensors(std::span<const std::string> present, const LlamaConfig& config, const TensorNames& names,
                            std::span<const std::string_view> ignored, const std::string& source);

/// Every tensor of `model` to be written, matrices as `type` where their rows allow it, the others as f32.
/// `order` gives the row order of query and key (matrices and biases) by their number of heads (empty: as they are).
std::vector<Outgoing> outgoing_tensors(const LlamaModel& model, const TensorNames& names, Type type,
                                       const std::function<RowOrder(std::int64_t heads)>& order = {});

}  // namespace starling::core

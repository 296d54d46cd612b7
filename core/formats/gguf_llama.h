// What GGUF metadata means: Llama configurations and vocabularies, read and written with the key names and
// exact value types that llama.cpp expects. Reading accepts integers of any width.
#pragma once

#include <memory>
#include <string>

#include "core/formats/gguf.h"
#include "core/models/llama.h"

namespace starling::core {

/// The vocabulary of a file of any architecture, `none` when it holds none. Kind::malformed naming the key
/// when lists disagree in length or an id is outside; Kind::unsupported for another tokenizer model.
Vocabulary gguf_vocabulary(const Gguf& file, const std::string& source);

/// Kind::unsupported naming the architecture unless it is one of models/families/all.def, and the key of what the
/// equation does not cover. Rotary divisors that are tensors and biases are not in it yet.
LlamaConfig gguf_config(const Gguf& file, const std::string& source);

/// The whole model, tensors borrowed from `bytes`, kept alive by `keeper`. The vocabulary is `gguf_vocabulary`.
LlamaModel gguf_llama(const Gguf& file, Bytes bytes, std::shared_ptr<const void> keeper, const std::string& source);

/// Everything a reader needs besides the tensors. `type`: what most of the matrices are stored as.
GgufMetadata gguf_metadata(const std::string& name, const LlamaConfig& config, const Vocabulary& vocabulary, Type type);

/// The tensors of rotary divisors, for models that have them; to be written beside the others.
inline constexpr std::string_view kRopeFrequencies = "rope_freqs.weight", kRopeShort = "rope_factors_short.weight",
                                  kRopeLong = "rope_factors_long.weight";
std::vector<Outgoing> gguf_rope_tensors(const LlamaConfig& config);

/// All that a file of `model` holds, matrices as `type` where their rows allow it.
struct GgufContents {
  GgufMetadata metadata;
  std::vector<Outgoing> tensors;
};
GgufContents gguf_contents(const LlamaModel& model, Type type);

}  // namespace starling::core

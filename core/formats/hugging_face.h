// The folder of a Hugging Face checkpoint: config.json, *.safetensors (perhaps sharded with an index) and
// the tokenizer's files.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/bytes.h"
#include "core/formats/outgoing.h"
#include "core/models/llama.h"

namespace starling::core {

struct HuggingFaceConfig {
  LlamaConfig llama;
  std::optional<TokenId> bos;
  std::vector<TokenId> eos;  // generation stops at any of them
};

/// config.json of a class of models/families/all.def. Kind::unsupported naming the member for other
/// architectures and for what the equation here does not cover. Biases that no member tells of are not in it.
HuggingFaceConfig decode_config_json(Bytes file, const std::string& source);

/// config.json of `config`. Kind::unsupported for families but Llama itself, and when its rotary divisors are not those
/// of a known scaling rule.
std::string encode_config_json(const LlamaConfig& config, const Vocabulary& vocabulary, Type type,
                               const std::string& target);

/// weight_map of model.safetensors.index.json: tensor to file name. Kind::malformed unless the names are plain
/// file names.
std::map<std::string, std::string> decode_safetensors_index(Bytes file, const std::string& source);

/// Rotary rows of q and k: Hugging Face stores the two halves of a head one after the other, Starling (as GGUF)
/// interleaved. `rows_to_hugging_face` gives the source row in our order of each row written.
Tensor interleave_heads(const Tensor& tensor, std::int64_t head_size);
RowOrder rows_to_hugging_face(std::int64_t head_size);

}  // namespace starling::core

// The folder of a Hugging Face Llama checkpoint: config.json, *.safetensors (perhaps sharded with an index) and
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

/// config.json of LlamaForCausalLM or MistralForCausalLM. Kind::unsupported naming the member for other
/// architectures and for what the Llama equation here does not cover. A sliding window bounds the context.
HuggingFaceConfig decode_config_json(Bytes file, const std::string& source);

/// config.json of `config`. Kind::unsupported when its rotary divisors are not those of a known scaling rule.
std::string encode_config_json(const LlamaConfig& config, const Vocabulary& vocabulary, Type type,
                               const std::string& target);

/// Divisors of the "llama3" rule: wavelengths beyond original_context / low_factor are divided by `factor`, those
/// below original_context / high_factor stay, between them the divisor is interpolated.
std::vector<float> llama3_divisors(std::int64_t head_size, double rope_base, double factor, double low_factor,
                                   double high_factor, double original_context);

/// weight_map of model.safetensors.index.json: tensor to file name. Kind::malformed unless the names are plain
/// file names.
std::map<std::string, std::string> decode_safetensors_index(Bytes file, const std::string& source);

/// Rotary rows of q and k: Hugging Face stores the two halves of a head one after the other, Starling (as GGUF)
/// interleaved. `rows_to_hugging_face` gives the source row in our order of each row written.
Tensor interleave_heads(const Tensor& tensor, std::int64_t head_size);
RowOrder rows_to_hugging_face(std::int64_t head_size);

}  // namespace starling::core

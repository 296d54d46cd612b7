// config.json of a model.
#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "core/formats/hugging_face.h"

namespace starling::core {

std::string encode_config_json(const LlamaConfig& c, const Vocabulary& v, Type type, const std::string& target) {
  LlamaConfig plain = c;
  plain.rope_divisors = {}, plain.rope_scaling = {};
  const LlamaConfig llama{.width = c.width, .layers = c.layers, .heads = c.heads, .kv_heads = c.kv_heads, .head_size = c.head_size, .ffn = c.ffn,
                          .vocabulary = c.vocabulary, .context = c.context, .norm_epsilon = c.norm_epsilon, .rope_base = c.rope_base,
                          .rope_divisors = {}, .tied = c.tied};
  check(plain == llama, Kind::unsupported, "{}: config.json is written of plain Llama models only, not of this {} one; GGUF can hold it", target, c.family);
  nlohmann::ordered_json scaling = nullptr;
  if (!c.rope_divisors.empty()) {
    const double factor = c.rope_divisors.back();
    constexpr double kLow = 1, kHigh = 4, kOriginal = 8192;  // what every published model of that rule has
    const std::vector<double> linear(c.rope_divisors.size(), c.rope_divisors.back());
    const auto llama3 =
        llama3_divisors(c.head_size, static_cast<double>(c.rope_base), factor, kLow, kHigh, kOriginal);
    const bool is_llama3 = std::equal(llama3.begin(), llama3.end(), c.rope_divisors.begin(), c.rope_divisors.end(),
                                      [](double a, double b) { return std::abs(a - b) <= 1e-5 * a; });
    check(linear == c.rope_divisors || is_llama3, Kind::unsupported,
          "{}: rope_scaling: config.json cannot express these rotary divisors", target);
    if (linear == c.rope_divisors)
      scaling = {{"rope_type", "linear"}, {"factor", factor}};
    else
      scaling = {{"rope_type", "llama3"},    {"factor", factor},           {"low_freq_factor", kLow},
                 {"high_freq_factor", kHigh}, {"original_max_position_embeddings", 8192}};
  }
  const std::string dtype = type == Type::f32 ? "float32" : type == Type::f16 ? "float16" : "bfloat16";
  nlohmann::ordered_json root = {{"architectures", {"LlamaForCausalLM"}},
                                 {"model_type", "llama"},
                                 {"hidden_act", "silu"},
                                 {"hidden_size", c.width},
                                 {"intermediate_size", c.ffn},
                                 {"num_hidden_layers", c.layers},
                                 {"num_attention_heads", c.heads},
                                 {"num_key_value_heads", c.kv_heads},
                                 {"head_dim", c.head_size},
                                 {"vocab_size", c.vocabulary},
                                 {"max_position_embeddings", c.context},
                                 {"rms_norm_eps", c.norm_epsilon},
                                 {"rope_theta", c.rope_base},
                                 {"rope_scaling", std::move(scaling)},
                                 {"tie_word_embeddings", c.tied},
                                 {"attention_bias", false},
                                 {"mlp_bias", false},
                                 {"torch_dtype", dtype}};
  if (v.bos) root["bos_token_id"] = *v.bos;
  nlohmann::ordered_json stops = nlohmann::ordered_json::array();
  for (const auto& id : {v.eos, v.eot, v.eom})
    if (id) stops.push_back(*id);
  if (!stops.empty()) root["eos_token_id"] = stops.size() == 1 ? stops[0] : stops;
  return root.dump(2) + "\n";
}

}  // namespace starling::core

#include "core/formats/hugging_face.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/formats/json_fields.h"

namespace starling::core {
namespace {

void check_architecture(const JsonFields& root, const std::string& source) {
  const nlohmann::json& names = root.list("architectures");
  const std::string name = !names.empty() && names[0].is_string() ? names[0].get<std::string>() : "";
  check(name == "LlamaForCausalLM" || name == "MistralForCausalLM", Kind::unsupported,
        "{}: architectures: '{}' is not supported, only LlamaForCausalLM and MistralForCausalLM", source, name);
  const std::string activation = root.text("hidden_act").value_or("silu");
  check(activation == "silu", Kind::unsupported, "{}: hidden_act: '{}' is not supported, only silu", source, activation);
  for (const char* key : {"attention_bias", "mlp_bias"})
    check(!root.boolean(key).value_or(false), Kind::unsupported, "{}: {}: biases are not supported", source, key);
  check(root.real("partial_rotary_factor").value_or(1.0) == 1.0, Kind::unsupported,
        "{}: partial_rotary_factor: only whole heads can be rotated", source);
}

/// rope_scaling, or rope_parameters in newer files, where rope_theta may stand too.
void read_rope(const JsonFields& root, const std::string& source, LlamaConfig& c) {
  const auto scaling = root.object(root.find("rope_scaling") ? "rope_scaling" : "rope_parameters");
  auto base = root.real("rope_theta");
  if (!base && scaling) base = scaling->real("rope_theta");
  c.rope_base = static_cast<float>(base.value_or(10000.0));
  if (!scaling) return;
  const auto type = scaling->text("rope_type");
  const std::string rule = type ? *type : scaling->text("type").value_or("default");
  if (rule == "default") return;
  const double factor = scaling->real("factor").value_or(1.0);
  check(factor >= 1.0 && factor <= 1e6, Kind::malformed, "{}: rope_scaling.factor is {}", source, factor);
  if (rule == "linear") {
    c.rope_divisors.assign(static_cast<std::size_t>(c.head_size / 2), static_cast<float>(factor));
    return;
  }
  check(rule == "llama3", Kind::unsupported, "{}: rope_scaling.rope_type: '{}' is not supported", source, rule);
  const double low = scaling->real("low_freq_factor").value_or(1.0), high = scaling->real("high_freq_factor").value_or(4.0);
  const auto original = static_cast<double>(scaling->integer("original_max_position_embeddings").value_or(8192));
  check(low > 0 && high > low && original > 0, Kind::malformed,
        "{}: rope_scaling: low_freq_factor {}, high_freq_factor {}, original_max_position_embeddings {}", source, low, high,
        original);
  c.rope_divisors = llama3_divisors(c.head_size, static_cast<double>(c.rope_base), factor, low, high, original);
}

TokenId token_of(const nlohmann::json& value, std::string_view key, const JsonFields& root) {
  root.require(value.is_number_unsigned() && value.get<std::uint64_t>() <= 0x7fffffffu, key, "is no token id");
  return value.get<TokenId>();
}

std::int64_t narrowed_to_window(const JsonFields& root, std::int64_t context) {
  const auto window = root.integer("sliding_window");
  return window && *window > 0 ? std::min(context, *window) : context;
}

}  // namespace

HuggingFaceConfig decode_config_json(Bytes file, const std::string& source) {
  const nlohmann::json parsed = parse_json_object(file, source);
  const JsonFields root(parsed, source);
  check_architecture(root, source);
  HuggingFaceConfig result;
  LlamaConfig& c = result.llama;
  c.width = root.required_integer("hidden_size");
  c.ffn = root.required_integer("intermediate_size");
  c.layers = root.required_integer("num_hidden_layers");
  c.heads = root.required_integer("num_attention_heads");
  c.kv_heads = root.integer("num_key_value_heads").value_or(c.heads);
  const auto head_size = root.integer("head_dim");
  root.require(head_size || (c.heads > 0 && c.width % c.heads == 0), "num_attention_heads",
               "is {}, which does not divide hidden_size {}", c.heads, c.width);
  c.head_size = head_size ? *head_size : c.width / c.heads;
  c.vocabulary = root.required_integer("vocab_size");
  c.context = narrowed_to_window(root, root.required_integer("max_position_embeddings"));
  c.norm_epsilon = static_cast<float>(root.real("rms_norm_eps").value_or(1e-6));
  c.tied = root.boolean("tie_word_embeddings").value_or(false);
  validate(c, source);
  read_rope(root, source, c);
  validate(c, source);
  if (const auto* bos = root.find("bos_token_id")) result.bos = token_of(*bos, "bos_token_id", root);
  if (const auto* eos = root.find("eos_token_id")) {
    if (!eos->is_array()) result.eos.push_back(token_of(*eos, "eos_token_id", root));
    else
      for (const auto& id : *eos) result.eos.push_back(token_of(id, "eos_token_id", root));
  }
  return result;
}

std::vector<float> llama3_divisors(std::int64_t head_size, double rope_base, double factor, double low_factor,
                                   double high_factor, double original_context) {
  std::vector<float> divisors;
  for (std::int64_t pair = 0; pair < head_size / 2; ++pair) {
    const double frequency = std::pow(rope_base, -2.0 * static_cast<double>(pair) / static_cast<double>(head_size));
    const double wavelength = 2 * std::numbers::pi / frequency;
    double divisor = factor;
    if (wavelength < original_context / high_factor) {
      divisor = 1;
    } else if (wavelength <= original_context / low_factor) {
      const double share = (original_context / wavelength - low_factor) / (high_factor - low_factor);
      divisor = 1 / ((1 - share) / factor + share);
    }
    divisors.push_back(static_cast<float>(divisor));
  }
  return divisors;
}

std::map<std::string, std::string> decode_safetensors_index(Bytes file, const std::string& source) {
  const nlohmann::json parsed = parse_json_object(file, source);
  const JsonFields root(parsed, source);
  const auto weights = root.object("weight_map");
  root.require(weights.has_value(), "weight_map", "is missing");
  std::map<std::string, std::string> result;
  for (const auto& [tensor, unused] : root.find("weight_map")->items()) {
    std::string name = weights->required_text(tensor);
    // The index must not reach outside its own folder.
    const bool plain = !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
                       name.find('\0') == std::string::npos;
    weights->require(plain, tensor, "names no plain file");
    result.emplace(tensor, std::move(name));
  }
  return result;
}

}  // namespace starling::core

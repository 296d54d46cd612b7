#include "core/formats/hugging_face.h"

#include <algorithm>
#include <cmath>

#include "core/formats/json_fields.h"
#include "core/models/family.h"

namespace starling::core {
namespace {

using Rule = RopeScaling::Rule;

void read_sizes(const JsonFields& root, LlamaConfig& c) {
  c.width = root.required_integer("hidden_size");
  c.layers = root.required_integer("num_hidden_layers");
  c.heads = root.required_integer("num_attention_heads");
  c.kv_heads = root.integer("num_key_value_heads").value_or(c.heads);
  const auto head_size = root.integer("head_dim");
  root.require(head_size || (c.heads > 0 && c.width % c.heads == 0), "num_attention_heads",
               "is {}, which does not divide hidden_size {}", c.heads, c.width);
  c.head_size = head_size ? *head_size : c.width / c.heads;
  c.vocabulary = root.required_integer("vocab_size");
  c.context = root.required_integer("max_position_embeddings");
  c.norm_epsilon = static_cast<float>(root.real("rms_norm_eps").value_or(1e-6));
}

void read_experts(const JsonFields& root, LlamaConfig& c) {
  const auto experts = root.integer("num_local_experts");
  c.experts = experts ? *experts : root.integer("num_experts").value_or(0);
  const auto inner = c.experts > 0 ? root.integer("moe_intermediate_size") : std::nullopt;
  c.ffn = inner ? *inner : root.required_integer("intermediate_size");
  if (c.experts == 0) return;
  c.experts_used = root.required_integer("num_experts_per_tok");
  c.shared_ffn = root.integer("shared_expert_intermediate_size").value_or(0);
  const std::string& source = root.source();
  check(root.integer("decoder_sparse_step").value_or(1) == 1, Kind::unsupported, "{}: decoder_sparse_step: experts in some layers only are not supported", source);
  check(root.list("mlp_only_layers").empty(), Kind::unsupported, "{}: mlp_only_layers: experts in some layers only are not supported", source);
}

void read_activation(const JsonFields& root, LlamaConfig& c) {
  const auto named = root.text("hidden_activation");
  const std::string activation = named ? *named : root.text("hidden_act").value_or(c.gelu ? "gelu_pytorch_tanh" : "silu");
  // Gemma's first configurations say "gelu" and were trained with its tanh form.
  const bool gelu = activation == "gelu_pytorch_tanh" || (c.gelu && activation == "gelu");
  check(gelu || activation == "silu", Kind::unsupported, "{}: hidden_act: '{}' is not supported, only silu and gelu_pytorch_tanh", root.source(), activation);
  c.gelu = gelu;
}

void read_windows(const JsonFields& root, const Family& family, LlamaConfig& c) {
  const auto size = root.integer("sliding_window").value_or(0);
  check(size >= 0, Kind::malformed, "{}: sliding_window is {}", root.source(), size);
  c.windows = windows_of(family, c.layers, size);
  const nlohmann::json& types = root.list("layer_types");
  const auto pattern = root.integer("sliding_window_pattern");
  if (c.windows.empty() || (types.empty() && !pattern)) return;
  root.require(types.empty() || static_cast<std::int64_t>(types.size()) == c.layers, "layer_types", "has {} entries for {} layers", types.size(), c.layers);
  root.require(!pattern || *pattern >= 1, "sliding_window_pattern", "is {}", pattern.value_or(0));
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    const auto at = static_cast<std::size_t>(layer);
    bool windowed = types.empty() && (layer + 1) % *pattern != 0;
    if (!types.empty()) {
      const std::string type = types[at].is_string() ? types[at].get<std::string>() : "";
      check(type == "sliding_attention" || type == "full_attention", Kind::unsupported, "{}: layer_types: '{}' is not supported", root.source(), type);
      windowed = type == "sliding_attention";
    }
    c.windows[at] = windowed ? size : 0;
  }
}

std::vector<double> read_factors(const JsonFields& scaling, std::string_view key) {
  std::vector<double> factors;
  for (const nlohmann::json& factor : scaling.list(key)) {
    scaling.require(factor.is_number(), key, "holds something else than numbers");
    factors.push_back(static_cast<double>(factor.get<float>()));
  }
  return factors;
}

void read_llama3(const JsonFields& scaling, double factor, LlamaConfig& c) {
  const double low = scaling.real("low_freq_factor").value_or(1.0), high = scaling.real("high_freq_factor").value_or(4.0);
  const auto original = static_cast<double>(scaling.integer("original_max_position_embeddings").value_or(8192));
  check(low > 0 && high > low && original > 0, Kind::malformed,
        "{}: rope_scaling: low_freq_factor {}, high_freq_factor {}, original_max_position_embeddings {}", scaling.source(), low, high, original);
  c.rope_divisors = llama3_divisors(c.rotated_dimensions(), static_cast<double>(c.rope_base), factor, low, high, original);
}

/// One rule as rope_scaling or rope_parameters says it.
void read_rope_rule(const JsonFields& scaling, const JsonFields& root, LlamaConfig& c) {
  RopeScaling& s = c.rope_scaling;
  const std::string& source = root.source();
  const auto type = scaling.text("rope_type");
  const std::string rule = type ? *type : scaling.text("type").value_or("default");
  if (rule == "default") return;
  const double factor = scaling.real("factor").value_or(1.0);
  check(factor >= 1.0 && factor <= 1e6, Kind::malformed, "{}: rope_scaling.factor is {}", source, factor);
  if (rule == "llama3") return read_llama3(scaling, factor, c);
  s.rule = rule == "linear" ? Rule::linear : rule == "yarn" ? Rule::yarn : rule == "longrope" || rule == "su" ? Rule::longrope : Rule::none;
  check(s.rule != Rule::none, Kind::unsupported, "{}: rope_scaling.rope_type: '{}' is not supported", source, rule);
  if (s.rule != Rule::longrope) s.factor = factor;
  if (s.rule == Rule::linear) return;
  const auto original = scaling.integer("original_max_position_embeddings");
  const auto outside = root.integer("original_max_position_embeddings");
  s.original_context = original ? *original : outside ? *outside : c.context;
  s.attention_factor = scaling.real("attention_factor").value_or(0.0);
  if (s.rule == Rule::yarn) {
    s.beta_fast = scaling.real("beta_fast").value_or(32.0);
    s.beta_slow = scaling.real("beta_slow").value_or(1.0);
    s.truncated = scaling.boolean("truncate").value_or(true);
    for (const char* key : {"mscale", "mscale_all_dim"})
      check(!scaling.find(key), Kind::unsupported, "{}: rope_scaling.{} is not supported", source, key);
  } else {
    s.short_divisors = read_factors(scaling, "short_factor");
    s.long_divisors = read_factors(scaling, "long_factor");
  }
}

/// rope_scaling beside rope_theta, or rope_parameters in newer files, for all layers or for each kind of layer.
void read_rope(const JsonFields& root, LlamaConfig& c) {
  const auto partial = root.real("partial_rotary_factor").value_or(1.0);
  check(partial > 0 && partial <= 1, Kind::malformed, "{}: partial_rotary_factor is {}", root.source(), partial);
  const auto stated = root.object(root.find("rope_scaling") ? "rope_scaling" : "rope_parameters");
  const auto local = stated ? stated->object("sliding_attention") : std::nullopt, global = stated ? stated->object("full_attention") : std::nullopt;
  const auto& scaling = local || global ? global : stated;
  auto base = root.real("rope_theta"), windowed = root.real("rope_local_base_freq");
  auto rotated = partial;
  if (local && c.window_rope_base > 0) windowed = local->real("rope_theta");
  if (scaling && !base) base = scaling->real("rope_theta");
  if (scaling) rotated = scaling->real("partial_rotary_factor").value_or(partial);
  c.rope_base = static_cast<float>(base.value_or(10000.0));
  if (c.window_rope_base > 0 && windowed) c.window_rope_base = static_cast<float>(*windowed);
  const auto dimensions = static_cast<std::int64_t>(static_cast<double>(c.head_size) * rotated);
  c.rotated = dimensions == c.head_size ? 0 : dimensions;
  check(c.rotated == 0 || (c.rotated >= 2 && c.rotated % 2 == 0 && c.rotated < c.head_size), Kind::malformed, "{}: partial_rotary_factor {} rotates {} dimensions of {}",
        root.source(), rotated, dimensions, c.head_size);
  if (scaling) read_rope_rule(*scaling, root, c);
}

/// The member `key` in `target`, where there is one.
void set(const JsonFields& root, std::string_view key, float& target) {
  if (root.find(key)) target = static_cast<float>(*root.real(key));
}

void read_caps_and_scales(const JsonFields& root, LlamaConfig& c) {
  set(root, "attn_logit_softcapping", c.attention_cap);
  set(root, "final_logit_softcapping", c.logit_cap);
  // The same number as the default is the default, so that the configuration of both layouts is one.
  if (const auto scalar = root.real("query_pre_attn_scalar")) {
    check(*scalar > 0, Kind::malformed, "{}: query_pre_attn_scalar is {}", root.source(), *scalar);
    c.attention_scale = *scalar == static_cast<double>(c.head_size) ? 0 : static_cast<float>(1 / std::sqrt(*scalar));
  }
}

TokenId token_of(const nlohmann::json& value, std::string_view key, const JsonFields& root) {
  root.require(value.is_number_unsigned() && value.get<std::uint64_t>() <= 0x7fffffffu, key, "is no token id");
  return value.get<TokenId>();
}

}  // namespace

HuggingFaceConfig decode_config_json(Bytes file, const std::string& source) {
  const nlohmann::json parsed = parse_json_object(file, source);
  const JsonFields outer(parsed, source);
  const nlohmann::json& names = outer.list("architectures");
  const std::string name = !names.empty() && names[0].is_string() ? names[0].get<std::string>() : "";
  const Family& family = family_of_class(name, source);
  // Of models that also see pictures the text's part is read.
  const auto text = outer.object("text_config");
  const JsonFields& root = text ? *text : outer;
  HuggingFaceConfig result;
  LlamaConfig& c = result.llama;
  c.family = family.name;
  read_sizes(root, c);
  read_experts(root, c);
  validate(c, source);
  family.imply(c);
  read_activation(root, c);
  const bool tied_elsewhere = c.embedding_scale != 1;  // Gemma's files leave out what is so by default
  c.tied = root.boolean("tie_word_embeddings").value_or(outer.boolean("tie_word_embeddings").value_or(tied_elsewhere));
  c.experts_normalised = root.boolean("norm_topk_prob").value_or(c.experts_normalised);
  read_caps_and_scales(root, c);
  read_windows(root, family, c);
  read_rope(root, c);
  if (family.read_json) family.read_json(root, c);
  scale_rope(c, c.context, source);
  c.output_bias = root.boolean("attention_bias").value_or(false);
  c.qkv_bias = c.qkv_bias || c.output_bias;
  c.ffn_bias = root.boolean("mlp_bias").value_or(false);
  validate(c, source);
  if (const auto* bos = outer.find("bos_token_id")) result.bos = token_of(*bos, "bos_token_id", outer);
  if (const auto* eos = outer.find("eos_token_id")) {
    if (!eos->is_array()) result.eos.push_back(token_of(*eos, "eos_token_id", outer));
    else
      for (const auto& id : *eos) result.eos.push_back(token_of(id, "eos_token_id", outer));
  }
  return result;
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

#include "core/formats/gguf_llama.h"

#include <array>
#include <unordered_map>

#include "core/formats/gguf_fields.h"
#include "core/formats/llama_tensors.h"
#include "core/models/family.h"
#include "core/quant/blocks.h"

namespace starling::core {
namespace {

using Rule = RopeScaling::Rule;

/// The keys of one architecture: "llama.block_count" for "block_count".
class Keys {
 public:
  Keys(const GgufFields& fields, std::string_view architecture) : fields_(fields), architecture_(architecture) {}

  std::string name(std::string_view key) const { return fmt::format("{}.{}", architecture_, key); }
  std::int64_t required(std::string_view key) const { return fields_.required_integer(name(key)); }
  std::optional<std::int64_t> integer(std::string_view key) const { return fields_.integer(name(key)); }
  std::optional<double> real(std::string_view key) const { return fields_.real(name(key)); }
  std::optional<std::string> text(std::string_view key) const { return fields_.text(name(key)); }
  std::optional<bool> boolean(std::string_view key) const { return fields_.boolean(name(key)); }
  const GgufFields& fields() const { return fields_; }
  /// `target` = the key's value, where there is one.
  void set(float& target, std::string_view key) const {
    if (const auto value = real(key)) target = static_cast<float>(*value);
  }
  void set(double& target, std::string_view key) const { target = real(key).value_or(target); }

 private:
  const GgufFields& fields_;
  std::string_view architecture_;
};

void read_sizes(const Keys& keys, LlamaConfig& c) {
  c.width = keys.required("embedding_length");
  c.layers = keys.required("block_count");
  c.heads = keys.required("attention.head_count");
  c.kv_heads = keys.integer("attention.head_count_kv").value_or(c.heads);
  const auto head_size = keys.integer("attention.key_length");
  const std::string& source = keys.fields().source();
  check(head_size || (c.heads > 0 && c.width % c.heads == 0), Kind::malformed, "{}: {}: {} does not divide {} {}", source,
        keys.name("attention.head_count"), c.heads, keys.name("embedding_length"), c.width);
  c.head_size = head_size ? *head_size : c.width / c.heads;
  const auto value_length = keys.integer("attention.value_length").value_or(c.head_size);
  check(value_length == c.head_size, Kind::unsupported, "{}: {}: {} beside keys of {} is not supported", source,
        keys.name("attention.value_length"), value_length, c.head_size);
  c.rotated = keys.integer("rope.dimension_count").value_or(c.head_size);
  if (c.rotated == c.head_size) c.rotated = 0;
  c.context = keys.required("context_length");
  const auto* tokens = keys.fields().texts("tokenizer.ggml.tokens");
  const auto vocabulary = keys.integer("vocab_size");
  check(vocabulary || tokens, Kind::malformed, "{}: {} is missing", source, keys.name("vocab_size"));
  c.vocabulary = vocabulary ? *vocabulary : static_cast<std::int64_t>(tokens->size());
  const auto epsilon = keys.real("attention.layer_norm_rms_epsilon");
  check(epsilon.has_value(), Kind::malformed, "{}: {} is missing", source, keys.name("attention.layer_norm_rms_epsilon"));
  c.norm_epsilon = static_cast<float>(*epsilon);
}

void read_experts(const Keys& keys, LlamaConfig& c) {
  c.experts = keys.integer("expert_count").value_or(0);
  const auto ffn = c.experts > 0 ? keys.integer("expert_feed_forward_length") : std::nullopt;
  c.ffn = ffn ? *ffn : keys.required("feed_forward_length");
  if (c.experts == 0) return;
  c.experts_used = keys.required("expert_used_count");
  c.shared_ffn = keys.integer("expert_shared_feed_forward_length").value_or(0);
  const std::string& source = keys.fields().source();
  const auto gating = keys.integer("expert_gating_func").value_or(1);
  check(gating == 1 || gating == 0, Kind::unsupported, "{}: {}: function {} is not supported, only 1 (softmax)", source, keys.name("expert_gating_func"), gating);
  const auto scale = keys.real("expert_weights_scale").value_or(1.0);
  check(scale == 1.0 || scale == 0.0, Kind::unsupported, "{}: {}: {} is not supported", source, keys.name("expert_weights_scale"), scale);
  for (const char* key : {"leading_dense_block_count", "expert_group_count", "expert_group_used_count"})
    check(keys.integer(key).value_or(0) <= (key[0] == 'l' ? 0 : 1), Kind::unsupported, "{}: {} is not supported", source, keys.name(key));
}

void read_windows(const Keys& keys, const Family& family, LlamaConfig& c) {
  constexpr std::string_view kPattern = "attention.sliding_window_pattern";
  const auto size = keys.integer("attention.sliding_window");
  if (!size) return;
  check(*size >= 0 && c.layers <= 4096, Kind::malformed, "{}: {} is {}", keys.fields().source(), keys.name("attention.sliding_window"), *size);
  c.windows = windows_of(family, c.layers, *size);
  const GgufValue* pattern = keys.fields().find(keys.name(kPattern));
  if (!pattern || c.windows.empty()) return;
  const auto* list = std::get_if<std::vector<std::int64_t>>(&pattern->data);
  const std::int64_t period = list ? 0 : keys.integer(kPattern).value_or(0);
  check(!list || static_cast<std::int64_t>(list->size()) == c.layers, Kind::malformed, "{}: {} has another number of entries than there are layers",
        keys.fields().source(), keys.name(kPattern));
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    const bool windowed = list ? (*list)[static_cast<std::size_t>(layer)] != 0 : period <= 1 || layer % period < period - 1;
    c.windows[static_cast<std::size_t>(layer)] = windowed ? *size : 0;
  }
}

/// llama3's rule has no name here: its divisors are a tensor.
void read_rope_scaling(const Keys& keys, LlamaConfig& c) {
  RopeScaling& s = c.rope_scaling;
  const std::string& source = keys.fields().source();
  const auto type = keys.text("rope.scaling.type").value_or("linear");
  s.factor = keys.real("rope.scaling.factor").value_or(keys.real("rope.scale_linear").value_or(1.0));
  s.original_context = keys.integer("rope.scaling.original_context_length").value_or(c.context);
  if (type == "linear" && s.factor != 1.0 && s.factor != 0.0) s.rule = Rule::linear;
  if (type == "longrope") s.rule = Rule::longrope;
  if (type == "yarn") s.rule = Rule::yarn;
  check(type == "none" || type == "linear" || type == "longrope" || type == "yarn", Kind::unsupported, "{}: {}: '{}' is not supported", source,
        keys.name("rope.scaling.type"), type);
  keys.set(s.beta_fast, "rope.scaling.yarn_beta_fast");
  keys.set(s.beta_slow, "rope.scaling.yarn_beta_slow");
  const auto mix = keys.real("rope.scaling.yarn_ext_factor").value_or(1.0);
  check(s.rule != Rule::yarn || mix == 1.0 || mix < 0, Kind::unsupported, "{}: {}: {} is not supported", source, keys.name("rope.scaling.yarn_ext_factor"), mix);
  const auto magnitude = keys.real("rope.scaling.attn_factor");
  if (s.rule == Rule::longrope) s.attention_factor = magnitude.value_or(0.0);
  // Of YaRN the file's factor stands beside what the rule has itself.
  if (s.rule == Rule::yarn)
    if (const auto own = magnitude ? magnitude : keys.real("rope.scaling.yarn_attn_factor"); own && *own != 1.0) {
      LlamaConfig plain = c;
      scale_rope(plain, c.context, source);
      s.attention_factor = *own * plain.rope_magnitude;
    }
  if (s.rule == Rule::none) s = {};
  if (s.rule == Rule::linear) s = {.rule = Rule::linear, .factor = s.factor};
}

std::vector<double> read_divisors(const Gguf& file, Bytes bytes, std::string_view name, std::int64_t pairs, const std::string& source) {
  const GgufTensor* stored = file.find_tensor(name);
  if (!stored) return {};
  const Tensor divisors = to_float(gguf_tensor(*stored, bytes, nullptr, source));
  check(divisors.shape() == Shape{pairs}, Kind::malformed, "{}: tensor {} has shape [{}], [{}] expected", source, name,
        fmt::join(divisors.shape(), ", "), pairs);
  std::vector<float> values(static_cast<std::size_t>(pairs));
  dequantize(Type::f32, divisors.bytes(), values);
  return {values.begin(), values.end()};
}

void read_rope_tensors(const Gguf& file, Bytes bytes, LlamaConfig& c, const std::string& source) {
  const std::int64_t pairs = c.rotated_dimensions() / 2;
  if (c.rope_scaling.rule == Rule::longrope) {
    c.rope_scaling.short_divisors = read_divisors(file, bytes, kRopeShort, pairs, source);
    c.rope_scaling.long_divisors = read_divisors(file, bytes, kRopeLong, pairs, source);
    scale_rope(c, c.context, source);
    return;
  }
  const std::vector<double> divisors = read_divisors(file, bytes, kRopeFrequencies, pairs, source);
  if (divisors.empty()) return;
  if (c.rope_divisors.empty()) c.rope_divisors.assign(static_cast<std::size_t>(pairs), 1.0);
  for (std::size_t i = 0; i < divisors.size(); ++i) c.rope_divisors[i] *= divisors[i];
}

}  // namespace

LlamaConfig gguf_config(const Gguf& file, const std::string& source) {
  const GgufFields fields(file, source);
  const auto architecture = fields.text("general.architecture");
  check(architecture.has_value(), Kind::malformed, "{}: general.architecture is missing", source);
  const Family& family = family_named(*architecture, source);
  const Keys keys(fields, family.name);
  LlamaConfig c;
  c.family = family.name;
  read_sizes(keys, c);
  read_experts(keys, c);
  c.tied = file.find_tensor("output.weight") == nullptr;
  validate(c, source);
  family.imply(c);
  c.experts_normalised = keys.boolean("expert_weights_norm").value_or(c.experts_normalised);
  c.rope_base = static_cast<float>(keys.real("rope.freq_base").value_or(10000.0));
  keys.set(c.window_rope_base, "rope.freq_base_swa");
  keys.set(c.attention_cap, "attn_logit_softcapping");
  keys.set(c.logit_cap, "final_logit_softcapping");
  read_windows(keys, family, c);
  read_rope_scaling(keys, c);
  if (c.rope_scaling.rule != Rule::longrope) scale_rope(c, c.context, source);
  validate(c, source);
  return c;
}

LlamaModel gguf_llama(const Gguf& file, Bytes bytes, std::shared_ptr<const void> keeper, const std::string& source) {
  const GgufFields fields(file, source);
  const auto shards = fields.integer("split.count").value_or(1);
  check(shards <= 1, Kind::unsupported, "{}: split.count: a model in {} files is not supported", source, shards);
  LlamaModel model;
  model.config = gguf_config(file, source);
  model.name = fields.text("general.name").value_or("");
  model.vocabulary = gguf_vocabulary(file, source);
  read_rope_tensors(file, bytes, model.config, source);
  std::unordered_map<std::string_view, const GgufTensor*> tensors;
  for (const GgufTensor& tensor : file.tensors) tensors.emplace(tensor.name, &tensor);
  const TensorNames names = gguf_names();
  const auto find = [&](const std::string& name) -> std::optional<Tensor> {
    const auto found = tensors.find(name);
    if (found == tensors.end()) return std::nullopt;
    return gguf_tensor(*found->second, bytes, keeper, source);
  };
  find_biases(model.config, names, [&](const std::string& name) { return tensors.contains(name); });
  fill_tensors(model, names, find, source);
  std::vector<std::string> present;
  for (const GgufTensor& tensor : file.tensors) present.push_back(tensor.name);
  constexpr std::array<std::string_view, 4> kIgnored{kRopeFrequencies, kRopeShort, kRopeLong, ".attn_rot_embd"};
  refuse_unknown_tensors(present, model.config, names, kIgnored, source);
  validate(model.config, source);
  return model;
}

}  // namespace starling::core

#include "core/formats/gguf_llama.h"

#include <array>

#include "core/formats/gguf_fields.h"
#include "core/formats/llama_tensors.h"
#include "core/quant/blocks.h"

namespace starling::core {
namespace {

void refuse_other_equations(const GgufFields& fields, const LlamaConfig& config) {
  const std::string& source = fields.source();
  const auto experts = fields.integer("llama.expert_count").value_or(0);
  check(experts == 0, Kind::unsupported, "{}: llama.expert_count: {} experts are not supported", source, experts);
  const auto value_length = fields.integer("llama.attention.value_length").value_or(config.head_size);
  check(value_length == config.head_size, Kind::unsupported,
        "{}: llama.attention.value_length: {} beside keys of {} is not supported", source, value_length, config.head_size);
  const auto rotated = fields.integer("llama.rope.dimension_count").value_or(config.head_size);
  check(rotated == config.head_size, Kind::unsupported,
        "{}: llama.rope.dimension_count: {} of {} dimensions rotated is not supported", source, rotated, config.head_size);
}

/// "linear" scaling divides every frequency alike; other kinds change more than the frequencies.
void read_rope_scaling(const GgufFields& fields, LlamaConfig& config) {
  const auto type = fields.text("llama.rope.scaling.type").value_or("linear");
  check(type == "none" || type == "linear", Kind::unsupported, "{}: llama.rope.scaling.type: '{}' is not supported",
        fields.source(), type);
  const auto factor =
      fields.real("llama.rope.scaling.factor").value_or(fields.real("llama.rope.scale_linear").value_or(1.0));
  if (type == "none" || factor == 1.0 || factor == 0.0) return;
  check(factor > 0, Kind::malformed, "{}: llama.rope.scaling.factor is {}", fields.source(), factor);
  config.rope_divisors.assign(static_cast<std::size_t>(config.head_size / 2), static_cast<float>(factor));
}

void read_rope_frequencies(const Gguf& file, Bytes bytes, LlamaConfig& config, const std::string& source) {
  const GgufTensor* stored = file.find_tensor(kRopeFrequencies);
  if (!stored) return;
  const Tensor divisors = to_float(gguf_tensor(*stored, bytes, nullptr, source));
  check(divisors.shape() == Shape{config.head_size / 2}, Kind::malformed, "{}: tensor {} has shape [{}], [{}] expected",
        source, kRopeFrequencies, fmt::join(divisors.shape(), ", "), config.head_size / 2);
  if (config.rope_divisors.empty()) config.rope_divisors.assign(static_cast<std::size_t>(config.head_size / 2), 1.0f);
  std::vector<float> values(config.rope_divisors.size());
  dequantize(Type::f32, divisors.bytes(), values);
  for (std::size_t i = 0; i < values.size(); ++i) config.rope_divisors[i] *= values[i];
}

}  // namespace

LlamaConfig gguf_config(const Gguf& file, const std::string& source) {
  const GgufFields fields(file, source);
  const auto architecture = fields.text("general.architecture");
  check(architecture.has_value(), Kind::malformed, "{}: general.architecture is missing", source);
  check(*architecture == "llama", Kind::unsupported, "{}: general.architecture: '{}' is not supported, only 'llama'",
        source, *architecture);
  LlamaConfig c;
  c.width = fields.required_integer("llama.embedding_length");
  c.layers = fields.required_integer("llama.block_count");
  c.heads = fields.required_integer("llama.attention.head_count");
  c.kv_heads = fields.integer("llama.attention.head_count_kv").value_or(c.heads);
  const auto head_size = fields.integer("llama.attention.key_length");
  check(head_size || (c.heads > 0 && c.width % c.heads == 0), Kind::malformed,
        "{}: llama.attention.head_count: {} does not divide llama.embedding_length {}", source, c.heads, c.width);
  c.head_size = head_size ? *head_size : c.width / c.heads;
  c.ffn = fields.required_integer("llama.feed_forward_length");
  c.context = fields.required_integer("llama.context_length");
  const auto* tokens = fields.texts("tokenizer.ggml.tokens");
  const auto vocabulary = fields.integer("llama.vocab_size");
  check(vocabulary || tokens, Kind::malformed, "{}: llama.vocab_size is missing", source);
  c.vocabulary = vocabulary ? *vocabulary : static_cast<std::int64_t>(tokens->size());
  const auto epsilon = fields.real("llama.attention.layer_norm_rms_epsilon");
  check(epsilon.has_value(), Kind::malformed, "{}: llama.attention.layer_norm_rms_epsilon is missing", source);
  c.norm_epsilon = static_cast<float>(*epsilon);
  c.rope_base = static_cast<float>(fields.real("llama.rope.freq_base").value_or(10000.0));
  c.tied = file.find_tensor("output.weight") == nullptr;
  validate(c, source);
  refuse_other_equations(fields, c);
  read_rope_scaling(fields, c);
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
  read_rope_frequencies(file, bytes, model.config, source);
  const TensorNames names = gguf_names();
  const auto find = [&](const std::string& name) -> std::optional<Tensor> {
    const GgufTensor* tensor = file.find_tensor(name);
    if (!tensor) return std::nullopt;
    return gguf_tensor(*tensor, bytes, keeper, source);
  };
  fill_tensors(model, names, find, source);
  std::vector<std::string> present;
  for (const GgufTensor& tensor : file.tensors) present.push_back(tensor.name);
  constexpr std::array<std::string_view, 2> kIgnored{kRopeFrequencies, ".attn_rot_embd"};
  refuse_unknown_tensors(present, model.config, names, kIgnored, source);
  validate(model.config, source);
  return model;
}

}  // namespace starling::core

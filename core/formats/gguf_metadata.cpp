// A model's configuration and vocabulary as GGUF metadata, with the value types that llama.cpp insists on.
#include "core/formats/gguf_llama.h"

#include <algorithm>

#include "core/formats/gguf_vocabulary.h"
#include "core/models/family.h"
#include "core/quant/mixture.h"

namespace starling::core {
namespace {

/// general.file_type, informative: what most tensors are stored as.
std::int64_t file_type(Type type) {
  const Mixture* mixture = find_mixture(info(type).name);
  ensure(mixture != nullptr, "an element type without a GGUF file type");
  return mixture->file_type;
}

void append_vocabulary(GgufMetadata& out, const Vocabulary& v) {
  const auto add = [&](std::string_view key, GgufType type, bool is_array, GgufValue::Data data) {
    out.emplace_back(key, GgufValue{type, is_array, std::move(data)});
  };
  for (const GgufModelName& entry : kGgufModels)
    if (entry.model == v.model) add("tokenizer.ggml.model", GgufType::string, false, std::string(entry.name));
  if (v.model == TokenizerModel::none) return;
  add("tokenizer.ggml.pre", GgufType::string, false, v.pre.empty() ? std::string("default") : v.pre);
  add("tokenizer.ggml.tokens", GgufType::string, true, v.pieces);
  if (!v.scores.empty())
    add("tokenizer.ggml.scores", GgufType::f32, true, std::vector<double>(v.scores.begin(), v.scores.end()));
  if (!v.kinds.empty()) {
    std::vector<std::int64_t> kinds;
    for (const PieceKind kind : v.kinds) kinds.push_back(static_cast<std::int64_t>(kind));
    add("tokenizer.ggml.token_type", GgufType::i32, true, std::move(kinds));
  }
  if (!v.merges.empty()) add("tokenizer.ggml.merges", GgufType::string, true, v.merges);
  for (const GgufRole& role : kGgufRoles)
    if (const auto id = v.*role.member) add(role.key, GgufType::u32, false, std::int64_t{*id});
  for (const GgufFlag& flag : kGgufFlags)
    if (const auto value = v.*flag.member) add(flag.key, GgufType::boolean, false, *value);
  if (!v.chat_template.empty()) add("tokenizer.chat_template", GgufType::string, false, v.chat_template);
}

/// What a reader would take from the family alone needs no key; what no key can say is refused.
void append_variations(GgufMetadata& out, const LlamaConfig& c) {
  const auto add = [&](std::string_view key, GgufType type, bool is_array, GgufValue::Data data) {
    out.emplace_back(fmt::format("{}.{}", c.family, key), GgufValue{type, is_array, std::move(data)});
  };
  const auto count = [&](std::string_view key, std::int64_t value) { add(key, GgufType::u32, false, value); };
  const auto real = [&](std::string_view key, double value) { add(key, GgufType::f32, false, value); };
  const Family& family = family_named(c.family, "the model");
  LlamaConfig implied = c;
  implied.attention_scale = 0, implied.embedding_scale = 1, implied.window_rope_base = 0;
  implied.windows.clear();
  family.imply(implied);
  check(implied.attention_scale == c.attention_scale && implied.embedding_scale == c.embedding_scale, Kind::unsupported,
        "GGUF cannot say that a {} model scales scores by {} and embeddings by {}", c.family, c.attention_scale, c.embedding_scale);
  if (c.window_rope_base != implied.window_rope_base) real("rope.freq_base_swa", static_cast<double>(c.window_rope_base));
  if (c.attention_cap > 0) real("attn_logit_softcapping", static_cast<double>(c.attention_cap));
  if (c.logit_cap > 0) real("final_logit_softcapping", static_cast<double>(c.logit_cap));
  if (!c.windows.empty() || !implied.windows.empty()) {
    const std::int64_t size = c.windows.empty() ? 0 : *std::max_element(c.windows.begin(), c.windows.end());
    count("attention.sliding_window", size);
    std::vector<std::int64_t> windowed;
    for (const std::int64_t window : c.windows) windowed.push_back(window > 0);
    if (c.windows != windows_of(family, c.layers, size)) add("attention.sliding_window_pattern", GgufType::boolean, true, windowed);
  }
  if (c.experts > 0) {
    count("expert_count", c.experts);
    count("expert_used_count", c.experts_used);
    count("expert_feed_forward_length", c.ffn);
    if (c.shared_ffn > 0) count("expert_shared_feed_forward_length", c.shared_ffn);
    if (c.experts_normalised != implied.experts_normalised) add("expert_weights_norm", GgufType::boolean, false, c.experts_normalised);
  }
  const RopeScaling& s = c.rope_scaling;
  if (s.rule == RopeScaling::Rule::none) return;
  const auto text = [&](std::string value) { add("rope.scaling.type", GgufType::string, false, std::move(value)); };
  if (s.rule == RopeScaling::Rule::longrope) {
    text("longrope");
    real("rope.scaling.attn_factor", c.rope_magnitude);
  } else {
    text(s.rule == RopeScaling::Rule::yarn ? "yarn" : "linear");
    real("rope.scaling.factor", s.factor);
  }
  if (s.rule == RopeScaling::Rule::linear) return;
  count("rope.scaling.original_context_length", s.original_context);
  if (s.rule == RopeScaling::Rule::longrope) return;
  check(s.truncated, Kind::unsupported, "GGUF cannot say that YaRN's range does not end at whole pairs");
  if (s.beta_fast != 32) real("rope.scaling.yarn_beta_fast", s.beta_fast);
  if (s.beta_slow != 1) real("rope.scaling.yarn_beta_slow", s.beta_slow);
  if (s.attention_factor > 0) {
    LlamaConfig plain = c;
    plain.rope_scaling.attention_factor = 0;
    scale_rope(plain, c.context, "the model");
    real("rope.scaling.attn_factor", s.attention_factor / plain.rope_magnitude);
  }
}

}  // namespace

std::vector<Outgoing> gguf_rope_tensors(const LlamaConfig& c) {
  std::vector<Outgoing> result;
  const auto add = [&](std::string_view name, std::span<const double> divisors) {
    const std::vector<float> values(divisors.begin(), divisors.end());
    result.push_back(outgoing(std::string(name), Tensor::from_floats({static_cast<std::int64_t>(values.size())}, values), Type::f32));
  };
  const RopeScaling::Rule rule = c.rope_scaling.rule;
  if (rule == RopeScaling::Rule::longrope) {
    add(kRopeLong, c.rope_scaling.long_divisors);
    add(kRopeShort, c.rope_scaling.short_divisors);
  } else if (!c.rope_divisors.empty() && rule == RopeScaling::Rule::none) {
    add(kRopeFrequencies, c.rope_divisors);
  }
  return result;
}

GgufMetadata gguf_metadata(const std::string& name, const LlamaConfig& c, const Vocabulary& vocabulary, Type type) {
  GgufMetadata out;
  const auto text = [&](std::string key, std::string value) {
    out.emplace_back(std::move(key), GgufValue{GgufType::string, false, std::move(value)});
  };
  const auto count = [&](std::string key, std::int64_t value) {
    out.emplace_back(std::move(key), GgufValue{GgufType::u32, false, value});
  };
  const auto real = [&](std::string key, float value) {
    out.emplace_back(std::move(key), GgufValue{GgufType::f32, false, static_cast<double>(value)});
  };
  const auto key = [&](std::string_view rest) { return fmt::format("{}.{}", c.family, rest); };
  text("general.architecture", c.family);
  text("general.name", name);
  count("general.file_type", file_type(type));
  count("general.quantization_version", 2);
  count(key("vocab_size"), c.vocabulary);
  count(key("context_length"), c.context);
  count(key("embedding_length"), c.width);
  count(key("block_count"), c.layers);
  count(key("feed_forward_length"), c.ffn);
  count(key("attention.head_count"), c.heads);
  count(key("attention.head_count_kv"), c.kv_heads);
  count(key("attention.key_length"), c.head_size);
  count(key("attention.value_length"), c.head_size);
  count(key("rope.dimension_count"), c.rotated_dimensions());
  real(key("attention.layer_norm_rms_epsilon"), c.norm_epsilon);
  real(key("rope.freq_base"), c.rope_base);
  append_variations(out, c);
  append_vocabulary(out, vocabulary);
  return out;
}

}  // namespace starling::core

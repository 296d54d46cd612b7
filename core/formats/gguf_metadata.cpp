// A model's configuration and vocabulary as GGUF metadata, with the value types that llama.cpp insists on.
#include "core/formats/gguf_llama.h"
#include "core/formats/gguf_vocabulary.h"

namespace starling::core {
namespace {

/// general.file_type, informative: what most tensors are stored as.
std::int64_t file_type(Type type) {
  switch (type) {
    case Type::f32: return 0;
    case Type::f16: return 1;
    case Type::q4_0: return 2;
    case Type::q4_1: return 3;
    case Type::q8_0: return 7;
    case Type::q5_0: return 8;
    case Type::q5_1: return 9;
    case Type::q2_k: return 10;
    case Type::q3_k: return 11;
    case Type::q4_k: return 14;
    case Type::q5_k: return 16;
    case Type::q6_k: return 18;
    case Type::bf16: return 32;
    default: break;
  }
  fail(Kind::internal, "no GGUF file type for {}", info(type).name);
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

}  // namespace

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
  text("general.architecture", "llama");
  text("general.name", name);
  count("general.file_type", file_type(type));
  count("general.quantization_version", 2);
  count("llama.vocab_size", c.vocabulary);
  count("llama.context_length", c.context);
  count("llama.embedding_length", c.width);
  count("llama.block_count", c.layers);
  count("llama.feed_forward_length", c.ffn);
  count("llama.attention.head_count", c.heads);
  count("llama.attention.head_count_kv", c.kv_heads);
  count("llama.attention.key_length", c.head_size);
  count("llama.attention.value_length", c.head_size);
  count("llama.rope.dimension_count", c.head_size);
  real("llama.attention.layer_norm_rms_epsilon", c.norm_epsilon);
  real("llama.rope.freq_base", c.rope_base);
  append_vocabulary(out, vocabulary);
  return out;
}

}  // namespace starling::core

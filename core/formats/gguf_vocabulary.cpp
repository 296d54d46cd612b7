// tokenizer.ggml.* keys to a Vocabulary and back.
#include <algorithm>
#include <array>

#include "core/formats/gguf_fields.h"
#include "core/formats/gguf_llama.h"
#include "core/formats/gguf_vocabulary.h"

namespace starling::core {
namespace {

struct ModelName {
  TokenizerModel model;
  std::string_view name;
};
constexpr std::array<ModelName, 4> kModels{{
    {TokenizerModel::none, "no_vocab"},
    {TokenizerModel::sentencepiece, "llama"},
    {TokenizerModel::byte_level_bpe, "gpt2"},
    {TokenizerModel::wordpiece, "bert"},
}};

struct Role {
  std::optional<TokenId> Vocabulary::*member;
  std::string_view key;
};
constexpr std::array<Role, 9> kRoles{{
    {&Vocabulary::bos, "tokenizer.ggml.bos_token_id"},
    {&Vocabulary::eos, "tokenizer.ggml.eos_token_id"},
    {&Vocabulary::eot, "tokenizer.ggml.eot_token_id"},
    {&Vocabulary::eom, "tokenizer.ggml.eom_token_id"},
    {&Vocabulary::unknown, "tokenizer.ggml.unknown_token_id"},
    {&Vocabulary::separator, "tokenizer.ggml.seperator_token_id"},  // the format's own spelling
    {&Vocabulary::padding, "tokenizer.ggml.padding_token_id"},
    {&Vocabulary::cls, "tokenizer.ggml.cls_token_id"},
    {&Vocabulary::mask, "tokenizer.ggml.mask_token_id"},
}};

struct Flag {
  std::optional<bool> Vocabulary::*member;
  std::string_view key;
};
constexpr std::array<Flag, 6> kFlags{{
    {&Vocabulary::add_bos, "tokenizer.ggml.add_bos_token"},
    {&Vocabulary::add_eos, "tokenizer.ggml.add_eos_token"},
    {&Vocabulary::add_separator, "tokenizer.ggml.add_sep_token"},
    {&Vocabulary::add_space_prefix, "tokenizer.ggml.add_space_prefix"},
    {&Vocabulary::remove_extra_whitespaces, "tokenizer.ggml.remove_extra_whitespaces"},
    {&Vocabulary::lowercase, "tokenizer.ggml.normalizer.lowercase"},
}};

TokenizerModel model_named(const std::string& name, const std::string& source) {
  for (const ModelName& entry : kModels)
    if (entry.name == name) return entry.model;
  fail(Kind::unsupported, "{}: tokenizer.ggml.model: '{}' is not supported, only llama, gpt2 and bert", source, name);
}

void check_count(const GgufFields& fields, std::string_view key, std::size_t count, std::size_t pieces) {
  check(count == pieces, Kind::malformed, "{}: {} has {} entries for {} tokens", fields.source(), key, count, pieces);
}

void read_lists(const GgufFields& fields, Vocabulary& v) {
  const auto* pieces = fields.texts("tokenizer.ggml.tokens");
  check(pieces != nullptr, Kind::malformed, "{}: tokenizer.ggml.tokens is missing", fields.source());
  v.pieces = *pieces;
  if (const auto* scores = fields.reals("tokenizer.ggml.scores")) {
    check_count(fields, "tokenizer.ggml.scores", scores->size(), v.pieces.size());
    for (const double score : *scores) v.scores.push_back(static_cast<float>(score));
  }
  if (const auto* kinds = fields.integers("tokenizer.ggml.token_type")) {
    check_count(fields, "tokenizer.ggml.token_type", kinds->size(), v.pieces.size());
    for (const std::int64_t kind : *kinds) {
      check(kind >= 1 && kind <= 6, Kind::malformed, "{}: tokenizer.ggml.token_type holds {}, 1 to 6 expected",
            fields.source(), kind);
      v.kinds.push_back(static_cast<PieceKind>(kind));
    }
  }
  if (const auto* merges = fields.texts("tokenizer.ggml.merges")) v.merges = *merges;
}

}  // namespace

Vocabulary gguf_vocabulary(const Gguf& file, const std::string& source) {
  const GgufFields fields(file, source);
  Vocabulary v;
  v.model = model_named(fields.text("tokenizer.ggml.model").value_or("no_vocab"), source);
  if (v.model == TokenizerModel::none) return v;
  if (v.model == TokenizerModel::byte_level_bpe) v.pre = fields.text("tokenizer.ggml.pre").value_or("default");
  read_lists(fields, v);
  for (const Role& role : kRoles) {
    const auto id = fields.integer(role.key);
    if (!id) continue;
    check(*id >= 0 && static_cast<std::uint64_t>(*id) < v.pieces.size(), Kind::malformed, "{}: {} is {}, of {} tokens",
          source, role.key, *id, v.pieces.size());
    v.*role.member = static_cast<TokenId>(*id);
  }
  for (const Flag& flag : kFlags) v.*flag.member = fields.boolean(flag.key);
  v.ignore_merges = v.model == TokenizerModel::byte_level_bpe && ignores_merges(v.pre);
  v.chat_template = fields.text("tokenizer.chat_template").value_or("");
  return v;
}

bool ignores_merges(std::string_view pre) {
  constexpr std::array<std::string_view, 7> kNames{"llama-bpe", "llama3",  "llama-v3", "falcon3",
                                                   "pixtral",   "lfm2",    "tekken"};
  return std::find(kNames.begin(), kNames.end(), pre) != kNames.end();
}

void append_vocabulary(GgufMetadata& out, const Vocabulary& v) {
  const auto add = [&](std::string_view key, GgufType type, bool is_array, GgufValue::Data data) {
    out.emplace_back(key, GgufValue{type, is_array, std::move(data)});
  };
  for (const ModelName& entry : kModels)
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
  for (const Role& role : kRoles)
    if (const auto id = v.*role.member) add(role.key, GgufType::u32, false, std::int64_t{*id});
  for (const Flag& flag : kFlags)
    if (const auto value = v.*flag.member) add(flag.key, GgufType::boolean, false, *value);
  if (!v.chat_template.empty()) add("tokenizer.chat_template", GgufType::string, false, v.chat_template);
}

}  // namespace starling::core

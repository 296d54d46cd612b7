// tokenizer.ggml.* keys to a Vocabulary.
#include <algorithm>
#include <array>

#include "core/formats/gguf_fields.h"
#include "core/formats/gguf_llama.h"
#include "core/formats/gguf_vocabulary.h"

namespace starling::core {
namespace {

TokenizerModel model_named(const std::string& name, const std::string& source) {
  const auto at = std::find_if(kGgufModels.begin(), kGgufModels.end(), [&](const auto& m) { return m.name == name; });
  check(at != kGgufModels.end(), Kind::unsupported,
        "{}: tokenizer.ggml.model: '{}' is not supported, only llama, gpt2 and bert", source, name);
  return at->model;
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
  for (const GgufRole& role : kGgufRoles) {
    const auto id = fields.integer(role.key);
    if (!id) continue;
    check(*id >= 0 && static_cast<std::uint64_t>(*id) < v.pieces.size(), Kind::malformed, "{}: {} is {}, of {} tokens",
          source, role.key, *id, v.pieces.size());
    v.*role.member = static_cast<TokenId>(*id);
  }
  for (const GgufFlag& flag : kGgufFlags) v.*flag.member = fields.boolean(flag.key);
  v.ignore_merges = v.model == TokenizerModel::byte_level_bpe && ignores_merges(v.pre);
  v.chat_template = fields.text("tokenizer.chat_template").value_or("");
  return v;
}

bool ignores_merges(std::string_view pre) {
  constexpr std::array<std::string_view, 7> kNames{"llama-bpe", "llama3",  "llama-v3", "falcon3",
                                                   "pixtral",   "lfm2",    "tekken"};
  return std::find(kNames.begin(), kNames.end(), pre) != kNames.end();
}

}  // namespace starling::core

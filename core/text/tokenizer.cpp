// The tokenizer factory: checks a vocabulary, fills in the defaults of its model, and joins the algorithm with
// special-token splitting and the tokens at both ends.
#include "core/text/tokenizer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/text/algorithm.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/special_tokens.h"

namespace starling::core {

namespace {

// No real piece comes near; longer ones would make building the merge table quadratic.
constexpr std::size_t kPieceBytesMax = 4096;
constexpr std::size_t kPiecesMax = std::size_t{1} << 26;

constexpr std::array<std::string_view, 10> kEndTexts = {"<|eot_id|>",    "<|eom_id|>",      "<|im_end|>",    "<|end|>", "<|endoftext|>",
                                                        "<|end_of_text|>", "<end_of_turn>", "</s>", "<eos>", "<EOT>"};

bool is_end_text(std::string_view piece) { return std::find(kEndTexts.begin(), kEndTexts.end(), piece) != kEndTexts.end(); }

void check_pieces(const Vocabulary& v) {
  const std::size_t n = v.pieces.size();
  check(n > 0, Kind::malformed, "vocabulary: no pieces");
  check(n <= kPiecesMax, Kind::malformed, "vocabulary: {} pieces, at most {} are possible", n, kPiecesMax);
  check(v.scores.empty() || v.scores.size() == n, Kind::malformed, "vocabulary: {} scores for {} pieces", v.scores.size(), n);
  check(v.kinds.empty() || v.kinds.size() == n, Kind::malformed, "vocabulary: {} kinds for {} pieces", v.kinds.size(), n);
  for (std::size_t id = 0; id < n; ++id) {
    check(v.pieces[id].size() <= kPieceBytesMax, Kind::malformed, "vocabulary: piece {} has {} bytes, at most {} are possible", id,
          v.pieces[id].size(), kPieceBytesMax);
    if (!v.scores.empty()) check(!std::isnan(v.scores[id]), Kind::malformed, "vocabulary: score of piece {} is not a number", id);
    if (v.kinds.empty()) continue;
    const auto kind = static_cast<std::int32_t>(v.kinds[id]);
    check(kind >= 1 && kind <= 6, Kind::malformed, "vocabulary: kind {} of piece {} is unknown", kind, id);
    if (v.model == TokenizerModel::sentencepiece && v.kinds[id] == PieceKind::byte)
      check(byte_piece_value(v.pieces[id]) >= 0, Kind::malformed, "vocabulary: byte piece {} is \"{}\", not <0xHH>", id, v.pieces[id]);
  }
}

void check_roles(const Vocabulary& v) {
  const auto inside = [&](const std::optional<TokenId>& id, const char* role) {
    check(!id || (*id >= 0 && static_cast<std::size_t>(*id) < v.pieces.size()), Kind::malformed,
          "vocabulary: {} token id {} is outside of {} pieces", role, id.value_or(-1), v.pieces.size());
  };
  inside(v.bos, "bos");
  inside(v.eos, "eos");
  inside(v.eot, "eot");
  inside(v.eom, "eom");
  inside(v.unknown, "unknown");
  inside(v.separator, "separator");
  inside(v.padding, "padding");
  inside(v.cls, "cls");
  inside(v.mask, "mask");
}

/// Defaults that files leave out (gguf-style). An id is taken only where that piece really is a control or
/// unknown one, so that a small vocabulary does not get a word as its beginning of text.
void fill_roles(Vocabulary& v) {
  const auto fallback = [&](std::optional<TokenId>& role, TokenId id) {
    if (role || static_cast<std::size_t>(id) >= v.pieces.size()) return;
    if (v.kinds[id] == PieceKind::control || v.kinds[id] == PieceKind::unknown) role = id;
  };
  switch (v.model) {
    case TokenizerModel::sentencepiece:
      fallback(v.unknown, 0);
      fallback(v.bos, 1);
      fallback(v.eos, 2);
      break;
    case TokenizerModel::byte_level_bpe:
      fallback(v.bos, 11);
      fallback(v.eos, 11);
      break;
    case TokenizerModel::wordpiece:
      fallback(v.padding, 0);
      fallback(v.unknown, 100);
      fallback(v.cls, 101);
      fallback(v.separator, 102);
      fallback(v.mask, 103);
      break;
    case TokenizerModel::none:
      break;
  }
}

void fill_flags(Vocabulary& v) {
  const bool sentencepiece = v.model == TokenizerModel::sentencepiece, wordpiece = v.model == TokenizerModel::wordpiece;
  bool begin = sentencepiece || wordpiece;
  if (v.model == TokenizerModel::byte_level_bpe) {
    const PreTokenizerTraits& traits = pre_tokenizer_traits(v.pre);
    begin = traits.add_bos;
    v.ignore_merges = v.ignore_merges || traits.ignore_merges;
  }
  const std::optional<TokenId> first = wordpiece && v.cls ? v.cls : v.bos;
  check(!v.add_bos.value_or(false) || first, Kind::malformed, "vocabulary: add_bos is set, but there is no bos token");
  check(!v.add_eos.value_or(false) || v.eos, Kind::malformed, "vocabulary: add_eos is set, but there is no eos token");
  check(!v.add_separator.value_or(false) || v.separator, Kind::malformed,
        "vocabulary: add_separator is set, but there is no separator token");
  v.add_bos = v.add_bos.value_or(begin && first);
  v.add_eos = v.add_eos.value_or(false);
  v.add_separator = v.add_separator.value_or(wordpiece && v.separator);
  v.add_space_prefix = v.add_space_prefix.value_or(sentencepiece);
  v.remove_extra_whitespaces = v.remove_extra_whitespaces.value_or(false);
  v.lowercase = v.lowercase.value_or(wordpiece);
}

/// The vocabulary with every kind and flag present and every role that has a default.
Vocabulary complete(Vocabulary v) {
  check(v.model != TokenizerModel::none, Kind::unsupported, "vocabulary: the model file carries no tokenizer");
  check_pieces(v);
  check_roles(v);
  v.kinds.resize(v.pieces.size(), PieceKind::normal);
  for (std::size_t id = 0; id < v.pieces.size(); ++id)
    if (is_end_text(v.pieces[id])) v.kinds[id] = PieceKind::control;
  fill_roles(v);
  fill_flags(v);
  return v;
}

std::unique_ptr<TextAlgorithm> make_algorithm(const Vocabulary& v) {
  switch (v.model) {
    case TokenizerModel::sentencepiece: return make_sentencepiece(v);
    case TokenizerModel::byte_level_bpe: return make_byte_level_bpe(v);
    case TokenizerModel::wordpiece: return make_wordpiece(v);
    case TokenizerModel::none: break;
  }
  fail(Kind::internal, "make_algorithm: model {}", static_cast<int>(v.model));
}

class VocabularyTokenizer final : public Tokenizer {
 public:
  explicit VocabularyTokenizer(Vocabulary vocabulary)
      : vocabulary_(complete(std::move(vocabulary))), special_(vocabulary_), algorithm_(make_algorithm(vocabulary_)) {
    ends_.resize(vocabulary_.pieces.size());
    for (std::size_t id = 0; id < ends_.size(); ++id) ends_[id] = is_end_text(vocabulary_.pieces[id]);
    for (const auto& role : {vocabulary_.eos, vocabulary_.eot, vocabulary_.eom})
      if (role) ends_[*role] = true;
  }
  VocabularyTokenizer(const VocabularyTokenizer&) = delete;  // the algorithm refers to vocabulary_
  VocabularyTokenizer& operator=(const VocabularyTokenizer&) = delete;

  std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const override {
    const Vocabulary& v = vocabulary_;
    std::vector<TokenId> ids;
    if (options.add_special && *v.add_bos) ids.push_back(v.model == TokenizerModel::wordpiece && v.cls ? *v.cls : *v.bos);
    for (const Fragment& fragment : special_.split(text, options.parse_special)) {
      if (fragment.token >= 0)
        ids.push_back(fragment.token);
      else
        algorithm_->encode(fragment.text, ids);
    }
    if (options.add_special && *v.add_separator) ids.push_back(*v.separator);
    if (options.add_special && *v.add_eos) ids.push_back(*v.eos);
    return ids;
  }

  std::string decode(std::span<const TokenId> ids) const override {
    std::string text;
    TokenId previous = -1;
    for (const TokenId id : ids) {
      text += decode_next(previous, id);
      previous = id;
    }
    return text;
  }

  std::string decode_next(TokenId previous, TokenId id) const override {
    check_id(id);
    if (previous != -1) check_id(previous);
    return algorithm_->render(previous, id);
  }

  const Vocabulary& vocabulary() const override { return vocabulary_; }
  bool ends_generation(TokenId id) const override {
    check_id(id);
    return ends_[id];
  }

 private:
  void check_id(TokenId id) const {
    check(id >= 0 && static_cast<std::size_t>(id) < vocabulary_.pieces.size(), Kind::usage,
          "token id {} is outside of the vocabulary of {} pieces", id, vocabulary_.pieces.size());
  }

  const Vocabulary vocabulary_;
  const SpecialTokens special_;
  const std::unique_ptr<TextAlgorithm> algorithm_;
  std::vector<bool> ends_;
};

}  // namespace

int byte_piece_value(std::string_view piece) {
  if (piece.size() != 6 || piece.substr(0, 3) != "<0x" || piece[5] != '>') return -1;
  int value = -1;
  const auto [end, error] = std::from_chars(piece.data() + 3, piece.data() + 5, value, 16);
  return error == std::errc() && end == piece.data() + 5 ? value : -1;
}

std::unique_ptr<Tokenizer> make_tokenizer(Vocabulary vocabulary) {
  return std::make_unique<VocabularyTokenizer>(std::move(vocabulary));
}

}  // namespace starling::core

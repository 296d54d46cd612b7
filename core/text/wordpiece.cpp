// WordPiece (Devlin et al., "BERT", NAACL 2019; the "bert" model of GGUF): text is normalised and cut into words,
// each word is covered from the left by the longest pieces, or is unknown as a whole. GGUF writes the first piece
// of a word as U+2581 + piece and the others bare.
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <unordered_map>

#include "core/error.h"
#include "core/text/algorithm.h"
#include "core/text/utf8.h"

namespace starling::core {

namespace {

constexpr std::string_view kWordStart = "\xE2\x96\x81";
constexpr std::size_t kWordCharactersMax = 100;  // longer words are unknown, as in the reference tokenizer

bool is_space(char32_t c) {
  return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_dropped(char32_t c, utf8proc_category_t category) {
  return c == kReplacement || category == UTF8PROC_CATEGORY_CN || category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
         category == UTF8PROC_CATEGORY_CS || category == UTF8PROC_CATEGORY_CO;
}

bool is_punctuation(char32_t c, utf8proc_category_t category) {
  if (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO) return true;
  return c < 0x80 && c != 0 && std::string_view("$+<=>^`|~").find(static_cast<char>(c)) != std::string_view::npos;
}

bool is_ideograph(char32_t c) {
  constexpr std::array<std::pair<char32_t, char32_t>, 8> kRanges = {{{0x4E00, 0x9FFF}, {0x3400, 0x4DBF}, {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
                                                                      {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0xF900, 0xFAFF}, {0x2F800, 0x2FA1F}}};
  return std::any_of(kRanges.begin(), kRanges.end(), [c](const auto& range) { return c >= range.first && c <= range.second; });
}

utf8proc_category_t category_of(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

/// Characters of the text: decomposed (NFD), without combining marks and in lower case if `lower`, spaces kept.
std::vector<char32_t> normalise(std::string_view text, bool lower) {
  std::vector<char32_t> out;
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Character c = decode_utf8(text, i);
    i += c.length ? c.length : 1;
    if (is_space(c.code_point)) {
      out.push_back(' ');
      continue;
    }
    if (is_dropped(c.code_point, category_of(c.code_point))) continue;
    if (!lower) {
      out.push_back(c.code_point);
      continue;
    }
    std::array<utf8proc_int32_t, 32> parts;
    int last_class = 0;
    const utf8proc_ssize_t n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c.code_point), parts.data(), parts.size(),
                                                       UTF8PROC_DECOMPOSE, &last_class);
    ensure(n >= 0 && n <= static_cast<utf8proc_ssize_t>(parts.size()), "NFD of a character");
    for (utf8proc_ssize_t k = 0; k < n; ++k)
      if (utf8proc_category(parts[k]) != UTF8PROC_CATEGORY_MN) out.push_back(static_cast<char32_t>(parts[k]));
  }
  if (!lower) return out;
  // Canonical order of the marks that stay (spacing ones), then lower case.
  const auto combining_class = [](char32_t c) { return utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class; };
  for (auto begin = out.begin(); begin != out.end();) {
    begin = std::find_if(begin, out.end(), [&](char32_t c) { return combining_class(c) != 0; });
    const auto end = std::find_if(begin, out.end(), [&](char32_t c) { return combining_class(c) == 0; });
    std::stable_sort(begin, end, [&](char32_t a, char32_t b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
  for (char32_t& c : out) c = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
  return out;
}

class WordPiece final : public TextAlgorithm {
 public:
  explicit WordPiece(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
    check(vocabulary.unknown.has_value(), Kind::malformed, "vocabulary: wordpiece needs an unknown token");
    for (std::size_t id = 0; id < vocabulary.pieces.size(); ++id) {
      const PieceKind kind = vocabulary.kinds[id];
      if (kind == PieceKind::control || kind == PieceKind::unknown) continue;
      ids_.emplace(vocabulary.pieces[id], static_cast<TokenId>(id));
      piece_bytes_max_ = std::max(piece_bytes_max_, vocabulary.pieces[id].size());
    }
  }

  void encode(std::string_view text, std::vector<TokenId>& out) const override {
    std::string word;
    std::size_t characters = 0;
    const auto finish = [&] {
      if (characters > 0) encode_word(word, characters, out);
      word.clear();
      characters = 0;
    };
    for (const char32_t c : normalise(text, *vocabulary_.lowercase)) {
      const bool alone = c != ' ' && (is_punctuation(c, category_of(c)) || is_ideograph(c));
      if (c == ' ' || alone) finish();
      if (c == ' ') continue;
      append_utf8(word, c);
      ++characters;
      if (alone) finish();
    }
    finish();
  }

  std::string render(TokenId previous, TokenId id) const override {
    const bool unknown = id == *vocabulary_.unknown;
    if (!unknown && vocabulary_.kinds[id] == PieceKind::control) return {};
    const bool at_start = previous < 0 || (previous != *vocabulary_.unknown && vocabulary_.kinds[previous] == PieceKind::control);
    std::string_view piece = vocabulary_.pieces[id];
    const bool starts_word = unknown || piece.starts_with(kWordStart);
    if (piece.starts_with(kWordStart)) piece.remove_prefix(kWordStart.size());
    return std::string(starts_word && !at_start ? " " : "").append(piece);
  }

 private:
  void encode_word(const std::string& word, std::size_t characters, std::vector<TokenId>& out) const {
    const std::size_t begin = out.size();
    const std::string marked = std::string(kWordStart) + word;
    std::size_t at = 0;
    while (characters <= kWordCharactersMax && at < marked.size()) {
      std::size_t length = std::min(piece_bytes_max_, marked.size() - at);
      auto found = ids_.end();
      for (; length > 0 && found == ids_.end(); --length) found = ids_.find(std::string_view(marked).substr(at, length));
      if (found == ids_.end()) break;
      out.push_back(found->second);
      at += found->first.size();
    }
    if (at == marked.size()) return;
    out.resize(begin);
    out.push_back(*vocabulary_.unknown);
  }

  const Vocabulary& vocabulary_;
  std::unordered_map<std::string_view, TokenId> ids_;
  std::size_t piece_bytes_max_ = 0;
};

}  // namespace

std::unique_ptr<TextAlgorithm> make_wordpiece(const Vocabulary& vocabulary) { return std::make_unique<WordPiece>(vocabulary); }

}  // namespace starling::core

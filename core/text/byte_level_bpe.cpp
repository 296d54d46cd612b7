// Byte-level BPE (Radford et al., "Language models are unsupervised multitask learners", 2019; the "gpt2" model
// of GGUF): every byte is written as one printable character, merges go by rank inside each pre-token.
#include <array>
#include <unordered_map>

#include "core/error.h"
#include "core/text/algorithm.h"
#include "core/text/merger.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/utf8.h"

namespace starling::core {

namespace {

/// Printable bytes stand for themselves, the other 68 for U+0100 and up, in increasing order.
std::array<char32_t, 256> byte_characters() {
  std::array<char32_t, 256> map{};
  char32_t next = 0x100;
  for (char32_t b = 0; b < 256; ++b) {
    const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    map[b] = printable ? b : next++;
  }
  return map;
}

class ByteLevelBpe final : public TextAlgorithm {
 public:
  explicit ByteLevelBpe(const Vocabulary& vocabulary)
      : vocabulary_(vocabulary), pre_tokenizer_(vocabulary.pre), merges_(vocabulary.merges.size()) {
    for (std::size_t id = 0; id < vocabulary.pieces.size(); ++id) {
      // Control tokens never come from plain text, not even when a whole pre-token spells one.
      const PieceKind kind = vocabulary.kinds[id];
      if (kind != PieceKind::control && kind != PieceKind::unknown)
        symbols_.emplace(vocabulary.pieces[id], static_cast<SymbolId>(id));
    }
    const std::array<char32_t, 256> characters = byte_characters();
    for (std::size_t b = 0; b < 256; ++b) {
      std::string character;
      append_utf8(character, characters[b]);
      byte_symbols_[b] = symbol_of(character);
      bytes_of_.emplace(characters[b], static_cast<char>(b));
    }
    for (std::size_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
      const std::string& merge = vocabulary.merges[rank];
      const std::size_t cut = merge.find(' ', 1);
      check(cut != std::string::npos && cut + 1 < merge.size(), Kind::malformed, "vocabulary: merge {} is \"{}\", not two pieces", rank, merge);
      const std::string left = merge.substr(0, cut), right = merge.substr(cut + 1);
      merges_.add(symbol_of(left), symbol_of(right), {static_cast<std::uint32_t>(rank), symbol_of(left + right)});
    }
  }

  void encode(std::string_view text, std::vector<TokenId>& out) const override {
    const std::string valid = replace_invalid_utf8(text);
    Merger merger(merges_);
    for (const std::string_view piece : pre_tokenizer_.split(valid)) {
      if (vocabulary_.ignore_merges && emit_whole(piece, out)) continue;
      merger.clear();
      for (const char c : piece) merger.push(byte_symbols_[static_cast<unsigned char>(c)]);
      for (const Merger::Symbol& symbol : merger.run()) emit(symbol.id, out);
    }
  }

  std::string render(TokenId, TokenId id) const override {
    const std::string& piece = vocabulary_.pieces[id];
    switch (vocabulary_.kinds[id]) {
      case PieceKind::control:
      case PieceKind::unknown: return {};
      case PieceKind::user_defined: return piece;
      default: break;
    }
    std::string text;
    for (std::size_t i = 0; i < piece.size();) {
      const Utf8Character c = decode_utf8(piece, i);
      const auto byte = bytes_of_.find(c.code_point);
      const std::size_t length = c.length ? c.length : 1;
      if (c.length && byte != bytes_of_.end())
        text += byte->second;
      else
        text.append(piece, i, length);
      i += length;
    }
    return text;
  }

 private:
  /// The symbol of `piece`; one that the vocabulary lacks gets a number behind it.
  SymbolId symbol_of(const std::string& piece) {
    const auto [entry, added] = symbols_.emplace(piece, static_cast<SymbolId>(vocabulary_.pieces.size() + extra_.size()));
    if (added) extra_.push_back(piece);
    return entry->second;
  }

  bool emit_whole(std::string_view piece, std::vector<TokenId>& out) const {
    std::string mapped;
    for (const char c : piece) mapped += mapped_byte(c);
    const auto found = symbols_.find(mapped);
    if (found == symbols_.end() || static_cast<std::size_t>(found->second) >= vocabulary_.pieces.size()) return false;
    out.push_back(found->second);
    return true;
  }

  const std::string& mapped_byte(char c) const { return text_of(byte_symbols_[static_cast<unsigned char>(c)]); }

  const std::string& text_of(SymbolId symbol) const {
    const auto i = static_cast<std::size_t>(symbol);
    return i < vocabulary_.pieces.size() ? vocabulary_.pieces[i] : extra_[i - vocabulary_.pieces.size()];
  }

  /// A symbol that is no token: one token per byte of its mapped text where there is one, nothing elsewhere.
  void emit(SymbolId symbol, std::vector<TokenId>& out) const {
    if (static_cast<std::size_t>(symbol) < vocabulary_.pieces.size()) {
      out.push_back(symbol);
      return;
    }
    for (const char c : text_of(symbol)) {
      const auto found = symbols_.find(std::string(1, c));
      if (found != symbols_.end() && static_cast<std::size_t>(found->second) < vocabulary_.pieces.size()) out.push_back(found->second);
    }
  }

  const Vocabulary& vocabulary_;
  const PreTokenizer pre_tokenizer_;
  MergeTable merges_;
  std::unordered_map<std::string, SymbolId> symbols_;
  std::vector<std::string> extra_;  // texts of the symbols that are no tokens
  std::array<SymbolId, 256> byte_symbols_;
  std::unordered_map<char32_t, char> bytes_of_;
};

}  // namespace

std::unique_ptr<TextAlgorithm> make_byte_level_bpe(const Vocabulary& vocabulary) { return std::make_unique<ByteLevelBpe>(vocabulary); }

}  // namespace starling::core

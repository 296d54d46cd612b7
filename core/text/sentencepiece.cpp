// SentencePiece-type BPE (Kudo, Richardson: "SentencePiece", EMNLP 2018; the "llama" model of GGUF): characters
// merge by the score of the joined piece, what has no piece falls back to byte pieces.
//
// A space and U+2581 in the text are the same symbol, as in every implementation, so U+2581 decodes to a space
// unless the vocabulary has no piece for it. Invalid UTF-8 is kept byte by byte through the byte pieces.
#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "core/text/algorithm.h"
#include "core/text/merger.h"
#include "core/text/utf8.h"

namespace starling::core {

namespace {

constexpr char32_t kSpace = 0x2581;  // how pieces write a space
constexpr std::string_view kSpaceBytes = "\xE2\x96\x81";

/// The byte offsets where the characters of `piece` begin, and its size; nullopt if it is not UTF-8.
std::optional<std::vector<std::size_t>> character_offsets(std::string_view piece) {
  std::vector<std::size_t> offsets{0};
  while (offsets.back() < piece.size()) {
    const Utf8Character c = decode_utf8(piece, offsets.back());
    if (c.length == 0) return std::nullopt;
    offsets.push_back(offsets.back() + c.length);
  }
  return offsets;
}

class SentencePiece final : public TextAlgorithm {
 public:
  explicit SentencePiece(const Vocabulary& vocabulary) : vocabulary_(vocabulary), merges_(vocabulary.pieces.size() * 3) {
    byte_ids_.fill(-1);
    std::unordered_map<std::string_view, SymbolId> symbols;
    symbols.reserve(vocabulary.pieces.size() * 2);
    for (std::size_t id = 0; id < vocabulary.pieces.size(); ++id) {
      const PieceKind kind = vocabulary.kinds[id];
      if (kind == PieceKind::byte) {
        TokenId& slot = byte_ids_[static_cast<std::size_t>(byte_piece_value(vocabulary.pieces[id]))];
        if (slot < 0) slot = static_cast<TokenId>(id);
      }
      if (mergeable(id)) symbols.emplace(vocabulary.pieces[id], static_cast<SymbolId>(id));
      has_unused_ = has_unused_ || kind == PieceKind::unused;
    }
    const bool all_bytes = std::all_of(byte_ids_.begin(), byte_ids_.end(), [](TokenId id) { return id >= 0; });
    check(all_bytes || vocabulary.unknown, Kind::malformed, "vocabulary: neither byte pieces for all bytes nor an unknown token");
    build(symbols);
  }

  void encode(std::string_view text, std::vector<TokenId>& out) const override {
    std::string prepared = *vocabulary_.add_space_prefix ? " " : "";
    if (*vocabulary_.remove_extra_whitespaces) {
      append_without_extra_spaces(text, prepared);
      if (prepared.find_first_not_of(' ') == std::string::npos) return;
    } else {
      prepared += text;
    }
    Row row(merges_, prepared);
    std::optional<char32_t> before;
    for (std::size_t i = 0; i < prepared.size();) {
      Utf8Character c = decode_utf8(prepared, i);
      if (c.length == 0) c = {kReplacement, 1};
      const bool valid = c.length > 1 || static_cast<unsigned char>(prepared[i]) < 0x80;
      if (c.code_point == ' ') c.code_point = kSpace;
      // No piece joins `before` to a space, so no merge can cross: cutting here changes nothing but the speed.
      if (c.code_point == kSpace && before && *before != kSpace && !joined_to_space_.contains(*before)) finish(row, i, out);
      row.merger.push(valid ? symbol_of(c.code_point) : -1);
      row.starts.push_back(i);
      before = c.code_point;
      i += c.length;
    }
    finish(row, prepared.size(), out);
  }

  std::string render(TokenId previous, TokenId id) const override {
    std::string text;
    switch (vocabulary_.kinds[id]) {
      case PieceKind::control:
      case PieceKind::unknown: return text;
      case PieceKind::byte: text.push_back(static_cast<char>(byte_piece_value(vocabulary_.pieces[id]))); break;
      default: text = with_spaces(vocabulary_.pieces[id]);
    }
    const bool follows_special = previous < 0 || vocabulary_.kinds[previous] == PieceKind::control ||
                                 vocabulary_.kinds[previous] == PieceKind::user_defined;
    if (*vocabulary_.add_space_prefix && follows_special && vocabulary_.kinds[id] != PieceKind::user_defined && text.starts_with(' '))
      text.erase(0, 1);
    return text;
  }

 private:
  /// One stretch between cuts, and what its unknown characters were.
  struct Row {
    Row(const MergeTable& table, std::string_view whole) : text(whole), merger(table) {}
    std::string_view text;
    Merger merger;
    std::vector<std::size_t> starts;  // byte offset of each pushed symbol
    bool after_unknown = false;
  };

  bool mergeable(std::size_t id) const {
    const PieceKind kind = vocabulary_.kinds[id];
    return kind == PieceKind::normal || kind == PieceKind::user_defined || kind == PieceKind::unused;
  }

  /// Gives every character of a piece a symbol, every way to put a piece together an entry in the merge table.
  void build(std::unordered_map<std::string_view, SymbolId>& symbols) {
    const std::vector<std::uint32_t> priorities = priorities_by_score();
    const std::size_t n = vocabulary_.pieces.size();
    auto next_symbol = static_cast<SymbolId>(n);
    std::vector<std::size_t> usable;
    for (std::size_t id = 0; id < n; ++id) {
      const auto offsets = mergeable(id) ? character_offsets(vocabulary_.pieces[id]) : std::nullopt;
      if (!offsets) continue;
      usable.push_back(id);
      std::optional<char32_t> before;
      for (std::size_t k = 0; k + 1 < offsets->size(); ++k) {
        const auto character = std::string_view(vocabulary_.pieces[id]).substr((*offsets)[k], (*offsets)[k + 1] - (*offsets)[k]);
        const auto [entry, added] = symbols.emplace(character, next_symbol);
        if (added) ++next_symbol;
        const char32_t c = decode_utf8(character, 0).code_point;
        if (c < ascii_.size())
          ascii_[c] = entry->second;
        else
          characters_.emplace(c, entry->second);
        if (c == kSpace && before && *before != kSpace) joined_to_space_.insert(*before);
        before = c;
      }
    }
    for (const std::size_t id : usable) {
      const std::string_view piece = vocabulary_.pieces[id];
      if (symbols.at(piece) != static_cast<SymbolId>(id)) continue;  // the lowest id of a repeated piece counts
      const auto offsets = character_offsets(piece);
      for (std::size_t k = 1; k + 1 < offsets->size(); ++k) {
        const auto left = symbols.find(piece.substr(0, (*offsets)[k]));
        if (left == symbols.end()) continue;
        const auto right = symbols.find(piece.substr((*offsets)[k]));
        if (right != symbols.end()) merges_.add(left->second, right->second, {priorities[id], static_cast<SymbolId>(id)});
      }
    }
  }

  /// Equal scores get equal priorities, the highest score 0. Without scores all are equal.
  std::vector<std::uint32_t> priorities_by_score() const {
    std::vector<std::uint32_t> priorities(vocabulary_.pieces.size(), 0);
    std::vector<float> scores = vocabulary_.scores;
    std::sort(scores.begin(), scores.end(), std::greater<>());
    scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
    for (std::size_t id = 0; id < vocabulary_.scores.size(); ++id)
      priorities[id] = static_cast<std::uint32_t>(
          std::lower_bound(scores.begin(), scores.end(), vocabulary_.scores[id], std::greater<>()) - scores.begin());
    return priorities;
  }

  SymbolId symbol_of(char32_t c) const {
    if (c < ascii_.size()) return ascii_[c];
    const auto found = characters_.find(c);
    return found == characters_.end() ? -1 : found->second;
  }

  void finish(Row& row, std::size_t end, std::vector<TokenId>& out) const {
    row.starts.push_back(end);
    const std::vector<Merger::Symbol>& symbols = row.merger.run();
    for (std::size_t i = 0; i < symbols.size(); ++i) {
      const Merger::Symbol& symbol = symbols[i];
      if (symbol.id >= 0 && static_cast<std::size_t>(symbol.id) < vocabulary_.pieces.size()) {
        emit(row.merger, symbol, out);
        row.after_unknown = false;
      } else {
        const std::size_t begin = row.starts[symbol.first];
        fall_back(row.text.substr(begin, row.starts[symbol.first + 1] - begin), row.after_unknown, out);
      }
    }
    row.merger.clear();
    row.starts.clear();
  }

  /// A merged piece of kind unused goes back into the parts it was merged from, and they into theirs.
  void emit(const Merger& merger, const Merger::Symbol& symbol, std::vector<TokenId>& out) const {
    if (!has_unused_) {
      out.push_back(symbol.id);
      return;
    }
    std::vector<std::pair<SymbolId, std::int32_t>> stack{{symbol.id, symbol.origin}};
    while (!stack.empty()) {
      const auto [id, origin] = stack.back();
      stack.pop_back();
      if (origin < 0 || vocabulary_.kinds[id] != PieceKind::unused) {
        emit_part(id, out);
        continue;
      }
      const Merger::Merge& merge = merger.history()[origin];
      stack.push_back({merge.right, merge.right_origin});
      stack.push_back({merge.left, merge.left_origin});
    }
  }

  /// A part of an unused piece may be a character that has no piece of its own.
  void emit_part(SymbolId id, std::vector<TokenId>& out) const {
    if (static_cast<std::size_t>(id) < vocabulary_.pieces.size()) {
      out.push_back(id);
      return;
    }
    std::string character;
    for (std::size_t c = 0; c < ascii_.size(); ++c)
      if (ascii_[c] == id) append_utf8(character, static_cast<char32_t>(c));
    for (const auto& [c, symbol] : characters_)
      if (symbol == id) append_utf8(character, c);
    bool after_unknown = false;
    fall_back(character == kSpaceBytes ? " " : character, after_unknown, out);
  }

  void fall_back(std::string_view bytes, bool& after_unknown, std::vector<TokenId>& out) const {
    const auto id_of = [&](char c) { return byte_ids_[static_cast<unsigned char>(c)]; };
    if (std::all_of(bytes.begin(), bytes.end(), [&](char c) { return id_of(c) >= 0; })) {
      for (const char c : bytes) out.push_back(id_of(c));
      after_unknown = false;
    } else {
      if (!after_unknown) out.push_back(*vocabulary_.unknown);
      after_unknown = true;
    }
  }

  static void append_without_extra_spaces(std::string_view text, std::string& out) {
    bool first = true;
    for (std::size_t i = text.find_first_not_of(' '); i < text.size();) {
      const std::size_t end = std::min(text.find(' ', i), text.size());
      if (!first) out += ' ';
      out += text.substr(i, end - i);
      first = false;
      i = text.find_first_not_of(' ', end);
    }
  }

  static std::string with_spaces(std::string_view piece) {
    std::string text;
    for (std::size_t i = 0; i < piece.size();) {
      if (piece.substr(i, kSpaceBytes.size()) == kSpaceBytes) {
        text += ' ';
        i += kSpaceBytes.size();
      } else {
        text += piece[i++];
      }
    }
    return text;
  }

  const Vocabulary& vocabulary_;
  MergeTable merges_;
  std::array<SymbolId, 128> ascii_ = [] {
    std::array<SymbolId, 128> none;
    none.fill(-1);
    return none;
  }();
  std::unordered_map<char32_t, SymbolId> characters_;  // the others
  std::unordered_set<char32_t> joined_to_space_;       // characters that some piece has in front of a space
  std::array<TokenId, 256> byte_ids_;
  bool has_unused_ = false;
};

}  // namespace

std::unique_ptr<TextAlgorithm> make_sentencepiece(const Vocabulary& vocabulary) { return std::make_unique<SentencePiece>(vocabulary); }

}  // namespace starling::core

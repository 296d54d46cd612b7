// The merge rules and the pre-token expressions said as plainly as possible: strings instead of symbols, a full
// scan for every merge (quadratic), a hand scanner over utf8proc categories instead of regular expressions.
#pragma once

#include <utf8proc.h>

#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "core/text/vocabulary.h"

namespace starling::tests {

/// The characters of valid UTF-8 as strings of their own.
inline std::vector<std::string> characters(const std::string& text) {
  std::vector<std::string> out;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80)
      out.back() += c;
    else
      out.emplace_back(1, c);
  }
  return out;
}

/// Joins the pair with the lowest rank, leftmost on ties, until no pair has one.
inline void merge_all(std::vector<std::string>& symbols, const std::function<double(const std::string&, const std::string&)>& rank) {
  while (true) {
    double best = std::numeric_limits<double>::infinity();
    std::size_t at = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const double r = rank(symbols[i], symbols[i + 1]);
      if (r < best) {
        best = r;
        at = i;
      }
    }
    if (best == std::numeric_limits<double>::infinity()) return;
    symbols[at] += symbols[at + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

/// SentencePiece with byte pieces for everything and a space in front; no special tokens, valid UTF-8 only.
class NaiveSentencePiece {
 public:
  explicit NaiveSentencePiece(const core::Vocabulary& v) : scores_(v.scores) {
    for (std::size_t id = 0; id < v.pieces.size(); ++id) {
      if (v.kinds[id] == core::PieceKind::normal) pieces_.emplace(v.pieces[id], static_cast<core::TokenId>(id));
      if (v.kinds[id] == core::PieceKind::byte) bytes_[std::stoi(v.pieces[id].substr(3, 2), nullptr, 16)] = static_cast<core::TokenId>(id);
    }
  }
  std::vector<core::TokenId> encode(const std::string& text) const {
    std::vector<core::TokenId> ids;
    if (text.empty()) return ids;
    std::vector<std::string> symbols = characters(" " + text);
    for (std::string& s : symbols)
      if (s == " ") s = "\xE2\x96\x81";
    merge_all(symbols, [this](const std::string& a, const std::string& b) {
      const auto found = pieces_.find(a + b);
      return found == pieces_.end() ? std::numeric_limits<double>::infinity() : -scores_[found->second];
    });
    for (const std::string& s : symbols) {
      if (const auto found = pieces_.find(s); found != pieces_.end())
        ids.push_back(found->second);
      else
        for (const char c : s) ids.push_back(bytes_.at(static_cast<unsigned char>(c)));
    }
    return ids;
  }

 private:
  std::vector<float> scores_;
  std::map<std::string, core::TokenId> pieces_;
  std::map<int, core::TokenId> bytes_;
};

/// A pre-token expression as a hand scanner.
class Scanner {
 public:
  enum class Expression { gpt2, llama3, qwen2, falcon };
  explicit Scanner(Expression expression) : expression_(expression) {}

  std::vector<std::string> split(const std::string& text) const {
    const std::vector<std::string> all = characters(text);
    if (expression_ != Expression::falcon) return cut(all, [this](const auto& t, std::size_t i) { return expression_ == Expression::gpt2 ? gpt2(t, i) : llama3(t, i); });
    std::vector<std::string> out;
    for (const std::string& a : cut(all, falcon_punctuation))
      for (const std::string& b : cut(characters(a), gpt2))
        for (const std::string& c : cut(characters(b), three_digits)) out.push_back(c);
    return out;
  }

 private:
  using Text = std::vector<std::string>;
  using Match = std::function<std::size_t(const Text&, std::size_t)>;  // how many characters match at a position

  /// Matches and the gaps between them.
  static std::vector<std::string> cut(const Text& text, const Match& match) {
    std::vector<std::string> out;
    std::string gap;
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t n = match(text, i);
      if (n == 0) {
        gap += text[i++];
        continue;
      }
      if (!gap.empty()) out.push_back(gap);
      gap.clear();
      std::string piece;
      for (std::size_t k = 0; k < n; ++k) piece += text[i + k];
      out.push_back(piece);
      i += n;
    }
    if (!gap.empty()) out.push_back(gap);
    return out;
  }

  static int code(const std::string& c) {
    utf8proc_int32_t value = 0;
    utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(c.data()), static_cast<utf8proc_ssize_t>(c.size()), &value);
    return value;
  }
  static bool letter(const std::string& c) {
    const auto k = utf8proc_category(code(c));
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
  }
  static bool number(const std::string& c) {
    const auto k = utf8proc_category(code(c));
    return k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
  }
  static bool space(const std::string& c) {
    const int v = code(c);
    return (v >= 9 && v <= 13) || v == 32 || v == 0x85 || v == 0xA0 || v == 0x1680 || (v >= 0x2000 && v <= 0x200A) || v == 0x2028 ||
           v == 0x2029 || v == 0x202F || v == 0x205F || v == 0x3000;
  }
  static bool line_end(const std::string& c) { return c == "\r" || c == "\n"; }
  static bool other(const std::string& c) { return !space(c) && !letter(c) && !number(c); }

  template <class Is>
  static std::size_t run(const Text& t, std::size_t i, Is is) {
    std::size_t n = 0;
    while (i + n < t.size() && is(t[i + n])) ++n;
    return n;
  }

  static std::size_t contraction(const Text& t, std::size_t i, bool any_case) {
    if (t[i] != "'") return 0;
    for (const char* word : {"s", "t", "re", "ve", "m", "ll", "d"}) {
      const std::string w = word;
      std::size_t n = 0;
      while (n < w.size() && i + 1 + n < t.size()) {
        // Without regard to case a long s (U+017F) equals s.
        std::string c = t[i + 1 + n];
        if (any_case && c.size() == 1) c[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(c[0])));
        if (any_case && c == "\xC5\xBF") c = "s";
        if (c != std::string(1, w[n])) break;
        ++n;
      }
      if (n == w.size()) return n + 1;
    }
    return 0;
  }

  /// A run of white space keeps its last character for the word behind it.
  static std::size_t trailing_space(const Text& t, std::size_t i) {
    const std::size_t n = run(t, i, space);
    return n >= 2 && i + n < t.size() ? n - 1 : n;
  }

  static std::size_t gpt2(const Text& t, std::size_t i) {
    if (const std::size_t n = contraction(t, i, false)) return n;
    const std::size_t lead = t[i] == " " ? 1 : 0;
    for (const auto is : {letter, number, other})
      if (const std::size_t n = run(t, i + lead, is)) return n + lead;
    return trailing_space(t, i);
  }

  std::size_t llama3(const Text& t, std::size_t i) const {
    if (const std::size_t n = contraction(t, i, true)) return n;
    const std::size_t lead = !line_end(t[i]) && !letter(t[i]) && !number(t[i]) ? 1 : 0;
    if (const std::size_t n = run(t, i + lead, letter)) return n + lead;
    if (const std::size_t n = run(t, i, number)) return std::min<std::size_t>(n, expression_ == Expression::qwen2 ? 1 : 3);
    const std::size_t blank = t[i] == " " ? 1 : 0;
    if (const std::size_t n = run(t, i + blank, other)) return blank + n + run(t, i + blank + n, line_end);
    const std::size_t whole = run(t, i, space);
    for (std::size_t n = whole; n > 0; --n)
      if (line_end(t[i + n - 1])) return n;
    return trailing_space(t, i);
  }

  static std::size_t falcon_punctuation(const Text& t, std::size_t i) {
    return run(t, i, [](const std::string& c) {
      const auto k = utf8proc_category(code(c));
      return (k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO) || (c.size() == 1 && std::string("$+<=>^~|`").find(c) != std::string::npos);
    });
  }
  static std::size_t three_digits(const Text& t, std::size_t i) {
    return run(t, i, [](const std::string& c) { return c >= "0" && c <= "9" && c.size() == 1; }) >= 3 ? 3 : 0;
  }

  Expression expression_;
};

/// Byte-level BPE over the pieces of a Scanner; valid UTF-8 only, every byte has a piece.
class NaiveByteLevelBpe {
 public:
  NaiveByteLevelBpe(const core::Vocabulary& v, Scanner scanner) : scanner_(scanner) {
    for (std::size_t id = 0; id < v.pieces.size(); ++id) ids_.emplace(v.pieces[id], static_cast<core::TokenId>(id));
    for (std::size_t rank = 0; rank < v.merges.size(); ++rank) ranks_.emplace(v.merges[rank], rank);
    int next = 256;
    for (int b = 0; b < 256; ++b) {
      const bool same = (b > 32 && b < 127) || (b > 160 && b < 173) || b > 173;
      utf8proc_uint8_t bytes[4];
      const auto n = utf8proc_encode_char(same ? b : next++, bytes);
      map_.emplace_back(reinterpret_cast<const char*>(bytes), n);
    }
  }
  std::vector<core::TokenId> encode(const std::string& text) const {
    std::vector<core::TokenId> ids;
    for (const std::string& piece : scanner_.split(text)) {
      std::vector<std::string> symbols;
      for (const char c : piece) symbols.push_back(map_[static_cast<unsigned char>(c)]);
      merge_all(symbols, [this](const std::string& a, const std::string& b) {
        const auto found = ranks_.find(a + " " + b);
        return found == ranks_.end() ? std::numeric_limits<double>::infinity() : static_cast<double>(found->second);
      });
      for (const std::string& s : symbols) ids.push_back(ids_.at(s));
    }
    return ids;
  }

 private:
  Scanner scanner_;
  std::map<std::string, core::TokenId> ids_;
  std::map<std::string, std::size_t> ranks_;
  std::vector<std::string> map_;
};

}  // namespace starling::tests

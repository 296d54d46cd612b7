// The part of ECMA 262's regular expressions that is regular: literals, classes, groups, alternatives, quantifiers and
// anchors at both ends, written as a grammar over the characters of a JSON string.
#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/text/grammar/json_schema.h"
#include "core/text/utf8.h"

namespace starling::core {
namespace {

constexpr int kPatternDepthMax = 32;
constexpr int kPatternRepeatMax = 1'000;
using Ranges = std::vector<CodeRange>;

/// Characters of a JSON string: most stand for themselves, the others are escaped.
std::string string_characters(const Ranges& set) {
  static constexpr std::pair<char32_t, const char*> kEscapes[] = {{0x22, "\\\""}, {0x5C, "\\\\"}, {'\n', "\\n"}, {'\r', "\\r"},
                                                                  {'\t', "\\t"},  {'\b', "\\b"},   {'\f', "\\f"}};
  const auto holds = [&](char32_t c) { return std::any_of(set.begin(), set.end(), [&](const CodeRange& r) { return r.first <= c && c <= r.last; }); };
  Ranges plain;
  for (const CodeRange& r : set)
    for (const CodeRange& kept : {CodeRange{0x20, 0x21}, CodeRange{0x23, 0x5B}, CodeRange{0x5D, 0x10FFFF}})
      if (std::max(r.first, kept.first) <= std::min(r.last, kept.last))
        plain.push_back({std::max(r.first, kept.first), std::min(r.last, kept.last)});
  plain = normalised(plain);
  std::vector<std::string> parts;
  if (!plain.empty()) parts.push_back(grammar_class(plain));
  for (const auto& [c, text] : kEscapes)
    if (holds(c)) parts.push_back(grammar_literal(text));
  for (char32_t c = 0; c < 0x20 && parts.empty(); ++c)
    if (holds(c)) parts.push_back(grammar_literal(fmt::format("\\u{:04x}", static_cast<unsigned>(c))));
  return parts.size() == 1 ? parts.front() : fmt::format("({})", fmt::join(parts, " | "));
}

Ranges joined(Ranges a, const Ranges& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class PatternReader {
 public:
  PatternReader(const std::string& pattern, const std::string& path, const std::string& any) : text_(pattern), path_(path), any_(any) {}

  std::string run() {
    std::string whole = top_alternative();
    while (peek() == '|') {
      ++at_;
      whole += " | " + top_alternative();
    }
    if (at_ < text_.size()) unsupported();
    return "(" + whole + ")";
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(std::string_view what) {
    if (std::string_view(text_).substr(at_, what.size()) != what) return false;
    at_ += what.size();
    return true;
  }
  [[noreturn]] void unsupported() const {
    fail(Kind::unsupported, "JSON schema: {}: pattern \"{}\" is not supported from character {} on", path_, text_, at_);
  }

  /// An alternative outside of groups matches anywhere in the string unless it is anchored.
  std::string top_alternative() {
    const bool from_start = take("^");
    const std::string body = sequence(0);
    const bool to_end = take("$");
    return fmt::format("{}{}{}", from_start ? "" : any_ + "* ", body, to_end ? "" : " " + any_ + "*");
  }

  std::string alternatives(int depth) {
    check(depth <= kPatternDepthMax, Kind::refused, "JSON schema: {}: groups nested deeper than {}", path_, kPatternDepthMax);
    std::string whole = sequence(depth);
    while (take("|")) whole += " | " + sequence(depth);
    return whole;
  }

  std::string sequence(int depth) {
    std::string whole = "\"\"";
    while (at_ < text_.size() && peek() != '|' && peek() != ')' && !(peek() == '$' && depth == 0)) whole += " " + repeated(atom(depth));
    return whole;
  }

  std::string atom(int depth) {
    if (take("(")) {
      if (peek() == '?' && !take("?:")) unsupported();
      const std::string inner = alternatives(depth + 1);
      if (!take(")")) unsupported();
      return "(" + inner + ")";
    }
    if (take("[")) return string_characters(bracket());
    if (take(".")) return string_characters(complement({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}));
    if (std::string_view("*+?{}$^]").find(peek()) != std::string_view::npos) unsupported();
    const Ranges set = character();
    return string_characters(normalised(set));
  }

  std::string repeated(std::string part) {
    if (take("*")) {
      part += "*";
    } else if (take("+")) {
      part += "+";
    } else if (take("?")) {
      part += "?";
    } else if (take("{")) {
      const int least = number();
      int most = least;
      if (take(",")) most = peek() == '}' ? -1 : number();
      if (!take("}") || (most >= 0 && most < least)) unsupported();
      part += most < 0 ? fmt::format("{{{},}}", least) : fmt::format("{{{},{}}}", least, most);
    } else {
      return part;
    }
    take("?");  // lazy or not, the strings are the same
    if (std::string_view("*+{").find(peek()) != std::string_view::npos && at_ < text_.size()) unsupported();
    return part;
  }

  int number() {
    int value = 0;
    const std::size_t begin = at_;
    for (; peek() >= '0' && peek() <= '9'; ++at_) {
      value = value * 10 + (peek() - '0');
      check(value <= kPatternRepeatMax, Kind::refused, "JSON schema: {}: pattern: more than {} repetitions", path_, kPatternRepeatMax);
    }
    if (at_ == begin) unsupported();
    return value;
  }

  Ranges bracket() {
    const bool negated = take("^");
    Ranges set;
    while (peek() != ']') {
      if (at_ >= text_.size()) unsupported();
      const Ranges first = character();
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        const Ranges last = character();
        const bool range = first.size() == 1 && last.size() == 1 && first[0].first == first[0].last && last[0].first == last[0].last;
        if (!range || first[0].first > last[0].last) unsupported();
        set.push_back({first[0].first, last[0].last});
      } else {
        set = joined(set, first);
      }
    }
    ++at_;
    set = normalised(std::move(set));
    if (negated) set = complement(set);
    if (set.empty()) unsupported();
    return set;
  }

  /// One character, or the set of a class escape. The negated ones are kept to ASCII, where all engines agree.
  Ranges character() {
    static const Ranges kDigits = {{'0', '9'}}, kWord = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, kSpace = {{'\t', '\n'}, {'\r', '\r'}, {' ', ' '}};
    const auto without = [](const Ranges& set) { return complement(normalised(joined(set, {{0, 0x20}, {0x7F, 0x10FFFF}}))); };
    if (!take("\\")) {
      const Utf8Character c = decode_utf8(text_, at_);
      if (c.length == 0) unsupported();
      at_ += c.length;
      return {{c.code_point, c.code_point}};
    }
    const auto one = [](char32_t c) { return Ranges{{c, c}}; };
    const char escaped = peek();
    ++at_;
    switch (escaped) {
      case 'd': return kDigits;
      case 'w': return kWord;
      case 's': return kSpace;
      case 'D': return without(kDigits);
      case 'W': return without(kWord);
      case 'S': return without({});
      case 'n': return one('\n');
      case 'r': return one('\r');
      case 't': return one('\t');
      case 'f': return one('\f');
      case 'u': return one(hex());
      default: break;
    }
    if (std::string_view("\\/.*+?()[]{}|^$-\"'#&@:=!<>,;%~` ").find(escaped) == std::string_view::npos || at_ > text_.size()) {
      --at_;
      unsupported();
    }
    return one(static_cast<char32_t>(escaped));
  }

  char32_t hex() {
    char32_t value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = peek();
      const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
      if (digit < 0) unsupported();
      value = value << 4 | static_cast<char32_t>(digit);
    }
    if (value >= 0xD800 && value <= 0xDFFF) unsupported();
    return value;
  }

  const std::string& text_;
  const std::string& path_;
  const std::string& any_;
  std::size_t at_ = 0;
};

}  // namespace

std::string pattern_expression(const std::string& pattern, const std::string& path, const std::string& any) {
  return PatternReader(pattern, path, any).run();
}

}  // namespace starling::core

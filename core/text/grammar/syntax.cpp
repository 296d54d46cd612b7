// A recursive-descent parser of the GBNF notation. Nesting is bounded by kGrammarDepthMax, so the recursion is too.
#include "core/text/grammar/syntax.h"

#include <optional>

#include "core/error.h"
#include "core/text/utf8.h"

namespace starling::core {
namespace {

constexpr std::size_t kGrammarBytesMax = std::size_t{1} << 20;
constexpr int kGrammarDepthMax = 64;
constexpr int kGrammarRepeatMax = 10'000;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::vector<GrammarRule> run() {
    std::vector<GrammarRule> rules;
    skip(true);
    while (!at_end()) {
      GrammarRule rule{name(), {}};
      expect(!rule.name.empty(), "a rule's name");
      skip(false);
      expect(text_.substr(at_, 3) == "::=", "::=");
      at_ += 3;
      skip(true);
      rule.body = alternatives(0, false);
      rules.push_back(std::move(rule));
      expect(at_end() || text_[at_] == '\n', "a new line after the rule");
      skip(true);
    }
    return rules;
  }

 private:
  using Node = GrammarNode;
  using What = GrammarNode::What;

  bool at_end() const { return at_ >= text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }

  std::size_t line() const {
    std::size_t n = 1;
    for (std::size_t i = 0; i < at_ && i < text_.size(); ++i) n += text_[i] == '\n';
    return n;
  }

  void expect(bool condition, std::string_view what) const {
    if (condition) return;
    const std::string_view rest = text_.substr(std::min(at_, text_.size()), 16);
    fail(Kind::malformed, "grammar: line {}: expected {} at \"{}\"", line(), what, rest.substr(0, rest.find('\n')));
  }

  /// Spaces and comments; new lines too where one cannot end the rule.
  void skip(bool lines) {
    while (!at_end()) {
      const char c = text_[at_];
      if (c == '#') {
        while (!at_end() && text_[at_] != '\n') ++at_;
      } else if (c == ' ' || c == '\t' || c == '\r' || (lines && c == '\n')) {
        ++at_;
      } else {
        return;
      }
    }
  }

  /// A rule may go on behind a new line with '|'.
  void skip_to_bar() {
    const std::size_t before = at_;
    skip(true);
    if (peek() != '|') at_ = before;
  }

  static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  }

  std::string name() {
    const std::size_t begin = at_;
    while (is_name(peek())) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  Node alternatives(int depth, bool nested) {
    check(depth <= kGrammarDepthMax, Kind::refused, "grammar: line {}: groups nested deeper than {}", line(), kGrammarDepthMax);
    Node node{.what = What::alternatives};
    while (true) {
      node.parts.push_back(sequence(depth, nested));
      nested ? skip(true) : skip_to_bar();
      if (peek() != '|') break;
      ++at_;
      skip(true);
    }
    if (node.parts.size() > 1) return node;
    Node only = std::move(node.parts.front());
    return only;
  }

  Node sequence(int depth, bool nested) {
    Node node{.what = What::sequence};
    while (true) {
      skip(nested);
      std::optional<Node> part = element(depth);
      if (!part) return node;
      node.parts.push_back(repeated(std::move(*part)));
    }
  }

  std::optional<Node> element(int depth) {
    const char c = peek();
    if (at_end() || c == '|' || c == ')' || c == '\n') return std::nullopt;
    if (c == '"') return literal();
    if (c == '[') return characters();
    if (c == '.') {
      ++at_;
      return Node{.what = What::characters, .ranges = complement({})};
    }
    if (c == '(') {
      ++at_;
      Node group = alternatives(depth + 1, true);
      expect(peek() == ')', "\")\"");
      ++at_;
      return group;
    }
    Node reference{.what = What::reference, .line = line()};
    reference.text = name();
    expect(!reference.text.empty(), "a literal, a class, a group or a rule's name");
    return reference;
  }

  Node repeated(Node part) {
    while (true) {
      int least = 0, most = -1;
      switch (peek()) {
        case '*': ++at_; break;
        case '+': ++at_, least = 1; break;
        case '?': ++at_, most = 1; break;
        case '{': braces(least, most); break;
        default: return part;
      }
      Node node{.what = What::repeat, .least = least, .most = most};
      node.parts.push_back(std::move(part));
      part = std::move(node);
    }
  }

  void braces(int& least, int& most) {
    ++at_;
    least = number();
    skip(false);
    most = least;
    if (peek() == ',') {
      ++at_;
      skip(false);
      most = peek() == '}' ? -1 : number();
      skip(false);
    }
    expect(peek() == '}', "\"}\"");
    ++at_;
    check(most < 0 || most >= least, Kind::malformed, "grammar: line {}: {{{},{}}} is no range", line(), least, most);
  }

  int number() {
    skip(false);
    expect(peek() >= '0' && peek() <= '9', "a number");
    int value = 0;
    while (peek() >= '0' && peek() <= '9') {
      value = value * 10 + (text_[at_++] - '0');
      check(value <= kGrammarRepeatMax, Kind::refused, "grammar: line {}: more than {} repetitions", line(), kGrammarRepeatMax);
    }
    return value;
  }

  Node literal() {
    Node node{.what = What::literal};
    ++at_;
    while (peek() != '"') {
      expect(!at_end() && peek() != '\n', "the end of a literal");
      append_utf8(node.text, character());
    }
    ++at_;
    return node;
  }

  Node characters() {
    ++at_;
    const bool negated = peek() == '^';
    if (negated) ++at_;
    std::vector<CodeRange> ranges;
    while (peek() != ']') {
      expect(!at_end() && peek() != '\n', "the end of a class");
      const char32_t first = character();
      char32_t last = first;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        last = character();
        check(first <= last, Kind::malformed, "grammar: line {}: a class runs backwards", line());
      }
      ranges.push_back({first, last});
    }
    ++at_;
    ranges = normalised(std::move(ranges));
    Node node{.what = What::characters, .ranges = negated ? complement(ranges) : ranges};
    check(!node.ranges.empty(), Kind::malformed, "grammar: line {}: a class without characters", line());
    return node;
  }

  char32_t character() {
    expect(!at_end(), "a character");
    if (peek() != '\\') {
      const Utf8Character c = decode_utf8(text_, at_);
      check(c.length > 0, Kind::malformed, "grammar: line {}: not valid UTF-8", line());
      at_ += c.length;
      return c.code_point;
    }
    ++at_;
    const char escaped = peek();
    ++at_;
    switch (escaped) {
      case 'n': return '\n';
      case 'r': return '\r';
      case 't': return '\t';
      case 'x': return hex(2);
      case 'u': return hex(4);
      case 'U': return hex(8);
      case '\\': case '"': case '[': case ']': case '-': case '^': case '.': return static_cast<char32_t>(escaped);
      default: break;
    }
    --at_;
    fail(Kind::malformed, "grammar: line {}: unknown escape", line());
  }

  char32_t hex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const char c = peek();
      const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
      expect(digit >= 0, "a hexadecimal digit");
      value = value << 4 | static_cast<char32_t>(digit);
    }
    check(value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF), Kind::malformed, "grammar: line {}: {:#x} is no character", line(),
          static_cast<std::uint32_t>(value));
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<GrammarRule> parse_grammar_text(std::string_view text) {
  check(text.size() <= kGrammarBytesMax, Kind::refused, "grammar: {} bytes, at most {} are allowed", text.size(), kGrammarBytesMax);
  return Parser(text).run();
}

}  // namespace starling::core

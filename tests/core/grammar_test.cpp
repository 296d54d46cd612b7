// Grammars: the notation, what is refused, agreement with sets of matches where a grammar is regular, and masks against the
// plain definition "some text of the language goes on like this".
#include "core/text/grammar/grammar.h"

#include <doctest/doctest.h>

#include <functional>
#include <random>
#include <set>

#include "core/error.h"
#include "core/text/grammar/matcher.h"
#include "core/text/utf8.h"

using namespace starling;
using core::Grammar;
using core::GrammarMatcher;
using core::TokenId;
using core::TokenTrie;

namespace {

bool matches(const std::string& grammar, std::string_view text) { return core::matches(Grammar::parse(grammar), text); }

std::string refusal(const std::string& grammar, core::Kind kind) {
  try {
    Grammar::parse(grammar);
  } catch (const core::Error& error) {
    CHECK(error.kind() == kind);
    return error.what();
  }
  return "accepted";
}

/// An expression of the notation beside what it means: where a match that begins at a place of a text can end.
struct Expression {
  std::string grammar;
  std::function<std::set<std::size_t>(const std::string&, std::size_t)> ends;
  std::size_t longest;
};

Expression leaf(const std::string& grammar, const std::vector<std::string>& texts) {
  std::size_t longest = 0;
  for (const std::string& t : texts) longest = std::max(longest, t.size());
  return {grammar,
          [texts](const std::string& text, std::size_t at) {
            std::set<std::size_t> ends;
            for (const std::string& t : texts)
              if (text.compare(at, t.size(), t) == 0) ends.insert(at + t.size());
            return ends;
          },
          longest};
}

Expression joined(const Expression& a, const Expression& b) {
  return {a.grammar + " " + b.grammar,
          [a, b](const std::string& text, std::size_t at) {
            std::set<std::size_t> ends;
            for (const std::size_t middle : a.ends(text, at)) ends.merge(b.ends(text, middle));
            return ends;
          },
          a.longest + b.longest};
}

Expression either(const Expression& a, const Expression& b) {
  return {"(" + a.grammar + " | " + b.grammar + ")",
          [a, b](const std::string& text, std::size_t at) {
            std::set<std::size_t> ends = a.ends(text, at);
            ends.merge(b.ends(text, at));
            return ends;
          },
          std::max(a.longest, b.longest)};
}

/// `least` to `most` times; everything matches within a few rounds, since the texts are short.
Expression times(const Expression& a, const std::string& suffix, int least, int most) {
  return {"(" + a.grammar + ")" + suffix,
          [a, least, most](const std::string& text, std::size_t at) {
            std::set<std::size_t> round = {at}, ends;
            for (int i = 0; i <= most && !round.empty(); ++i) {
              if (i >= least) ends.insert(round.begin(), round.end());
              std::set<std::size_t> next;
              for (const std::size_t from : round) next.merge(a.ends(text, from));
              round = next;
            }
            return ends;
          },
          a.longest * static_cast<std::size_t>(most)};
}

Expression random_expression(std::mt19937_64& generator, int depth, bool loops) {
  const auto below = [&](std::uint64_t n) { return generator() % n; };
  const auto part = [&] { return random_expression(generator, depth - 1, loops); };
  constexpr int kMany = 8;
  if (depth == 0) {
    static const std::vector<Expression> kLeaves = {leaf("\"a\"", {"a"}), leaf("\"b\"", {"b"}), leaf("[ab]", {"a", "b"}), leaf("\"ab\"", {"ab"}), leaf("\"\"", {""})};
    return kLeaves[below(kLeaves.size())];
  }
  switch (below(loops ? 6 : 4)) {
    case 0: return either(part(), part());
    case 1: return joined(part(), part());
    case 2: return times(part(), "?", 0, 1);
    case 3: return times(part(), "{1,2}", 1, 2);
    case 4: return times(part(), "*", 0, kMany);
    default: return times(part(), "+", 1, kMany);
  }
}

bool whole(const Expression& e, const std::string& text) { return e.ends(text, 0).contains(text.size()); }

/// All strings over a and b of at most `length` characters.
std::vector<std::string> strings(std::size_t length) {
  std::vector<std::string> all = {""};
  for (std::size_t i = 0; i < all.size() && all[i].size() < length; ++i)
    for (const char c : {'a', 'b'}) all.push_back(all[i] + c);
  return all;
}

}  // namespace

TEST_CASE("grammars accept what they describe and nothing else") {
  struct Case {
    const char* grammar;
    std::vector<std::string> accepted, rejected;
  };
  const std::vector<Case> cases = {
      {"root ::= \"yes\" | \"no\"", {"yes", "no"}, {"", "ye", "yesno", "Yes"}},
      {"root ::= [a-c]+ [^a-c]?", {"a", "abc", "abcd", "c\xC3\xA9"}, {"", "d", "abcdd"}},
      {"root ::= \"a\"{3} \"b\"{1,2} \"c\"{2,}", {"aaabcc", "aaabbccccc"}, {"aabcc", "aaabbbcc", "aaabc"}},
      {"# brackets\nroot ::= pair*\npair ::= \"(\" root \")\" # nested\n", {"", "()", "(())()"}, {"(", ")(", "(()"}},
      {"root ::= \"a\" root \"b\" | \"\"", {"", "ab", "aaabbb"}, {"aab", "abb", "ba"}},
      {"root ::= (\n  \"x\" |\n  \"y\"\n) tail\ntail ::= \"1\"\n  | \"2\"", {"x1", "y2"}, {"x", "1x"}},
      {"root ::= [\\x41-\\x43] \"\\u00e9\\n\\\"\\\\\" [\\]\\[^-]", {"A\xC3\xA9\n\"\\]", "C\xC3\xA9\n\"\\-"}, {"D\xC3\xA9\n\"\\]", "A\xC3\xA9\n\"\\a"}},
      {"root ::= . .", {"ab", "\xC3\xA9\xF0\x9F\x98\x80", "\na"}, {"a", "abc", "\xC3", "\xED\xA0\x80\xED\xA0\x80"}},
      {"root ::= [\xCE\xB1-\xCF\x89]{2}", {"\xCE\xB1\xCF\x89"}, {"\xCE\xB1", "\xCF\x8A\xCE\xB1", "ab"}},
      {"root ::= ((\"a\"*)*)* \"b\"", {"b", "aaab"}, {"", "a"}},
      {"root ::= list\nlist ::= \"x\" (\",\" list)?", {"x", "x,x,x"}, {"x,", ",x"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.grammar);
    const auto grammar = Grammar::parse(c.grammar);
    for (const std::string& text : c.accepted) CHECK_MESSAGE(core::matches(grammar, text), text);
    for (const std::string& text : c.rejected) CHECK_MESSAGE(!core::matches(grammar, text), text);
  }
}

TEST_CASE("random expressions match exactly the texts that the sets of their parts say") {
  std::mt19937_64 generator(1);
  const std::vector<std::string> texts = strings(7);
  for (int i = 0; i < 300; ++i) {
    const Expression e = random_expression(generator, 4, true);
    CAPTURE(e.grammar);
    const auto grammar = Grammar::parse("root ::= " + e.grammar);
    for (const std::string& text : texts) {
      if (core::matches(grammar, text) == whole(e, text)) continue;
      CAPTURE(text);
      REQUIRE(core::matches(grammar, text) == whole(e, text));
    }
  }
}

TEST_CASE("classes cut into UTF-8 hold exactly their characters") {
  const std::vector<core::CodeRange> ranges = {{0x7E, 0x81}, {0x7FF, 0x801}, {0xD7FE, 0xE001}, {0xFFFE, 0x10001}, {0x10FFFE, 0x10FFFF}};
  const auto holds = [](const std::vector<std::vector<core::ByteRange>>& sequences, const std::string& bytes) {
    return std::any_of(sequences.begin(), sequences.end(), [&](const auto& sequence) {
      if (sequence.size() != bytes.size()) return false;
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        const auto b = static_cast<unsigned char>(bytes[i]);
        if (b < sequence[i].first || b > sequence[i].second) return false;
      }
      return true;
    });
  };
  const auto inside = core::utf8_sequences(core::normalised(ranges)), outside = core::utf8_sequences(core::complement(core::normalised(ranges)));
  for (char32_t c = 0; c <= 0x10FFFF; c += c < 0x11000 ? 1 : 97) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string bytes;
    core::append_utf8(bytes, c);
    const bool expected = std::any_of(ranges.begin(), ranges.end(), [c](const core::CodeRange& r) { return r.first <= c && c <= r.last; });
    if (holds(inside, bytes) == expected && holds(outside, bytes) == !expected) continue;
    CAPTURE(static_cast<std::uint32_t>(c));
    REQUIRE(holds(inside, bytes) == expected);
    REQUIRE(holds(outside, bytes) == !expected);
  }
  CHECK_FALSE(holds(inside, "\xED\xA0\x80"));
  CHECK_FALSE(holds(outside, "\xED\xA0\x80"));
}

TEST_CASE("a mask leaves exactly the tokens behind which the language goes on") {
  std::vector<std::string> tokens = {"a", "b", "c", "ab", "ba", "aab", "bb", "ca", "", "abcabc"};
  std::vector<bool> ends(tokens.size() + 1, false);
  tokens.emplace_back("</s>");
  ends.back() = true;
  const auto trie = std::make_shared<const TokenTrie>(tokens, ends);
  const auto end = static_cast<TokenId>(tokens.size() - 1);
  const std::vector<std::string> texts = strings(8);
  std::mt19937_64 generator(2);
  for (int i = 0; i < 100; ++i) {
    const Expression e = random_expression(generator, 3, false);
    CAPTURE(e.grammar);
    if (e.longest > 8) continue;
    std::vector<std::string> language;
    for (const std::string& text : texts)
      if (whole(e, text)) language.push_back(text);
    GrammarMatcher matcher(Grammar::parse("root ::= " + e.grammar), trie);
    std::string text;
    while (true) {
      CAPTURE(text);
      const auto goes_on = [&](const std::string& more) {
        return std::any_of(language.begin(), language.end(), [&](const std::string& t) { return t.starts_with(text + more); });
      };
      std::vector<float> logits(tokens.size() + 2, 1.0F);
      matcher.mask(logits);
      std::vector<TokenId> allowed;
      for (TokenId id = 0; id < static_cast<TokenId>(logits.size()); ++id) {
        const bool expected = id < end ? !tokens[static_cast<std::size_t>(id)].empty() && goes_on(tokens[static_cast<std::size_t>(id)])
                                       : id == end && std::count(language.begin(), language.end(), text) > 0;
        CAPTURE(id);
        REQUIRE((logits[static_cast<std::size_t>(id)] == 1.0F) == expected);
        if (id <= end) REQUIRE(matcher.allows(id) == expected);
        if (expected) allowed.push_back(id);
      }
      const TokenId id = allowed[generator() % allowed.size()];
      matcher.accept(id);
      if (id == end) break;
      text += tokens[static_cast<std::size_t>(id)];
    }
    CHECK_FALSE(matcher.allows(0));
    CHECK(matcher.must_end());
  }
}

TEST_CASE("a character may be cut by token boundaries anywhere") {
  const std::vector<std::string> tokens = {"\xF0", "\x9F", "\x98\x80", "\xF0\x9F\x98", "\x80", "\xC3", "\xA9", "</s>"};
  const std::vector<bool> ends = {false, false, false, false, false, false, false, true};
  const auto trie = std::make_shared<const TokenTrie>(tokens, ends);
  const auto grammar = Grammar::parse("root ::= \"\xF0\x9F\x98\x80\" [\xC3\xA9]");
  for (const std::vector<TokenId>& path : {std::vector<TokenId>{0, 1, 2, 5, 6, 7}, {3, 4, 5, 6, 7}}) {
    GrammarMatcher matcher(grammar, trie);
    for (const TokenId id : path) {
      CHECK(matcher.may_end() == (id == 7));
      CHECK_THROWS_AS(matcher.accept(id == 1 ? 6 : 1), core::Error);
      matcher.accept(id);
    }
  }
}

TEST_CASE("deep nesting and long texts keep their place when memory is bounded") {
  std::vector<std::string> tokens = {"(", ")", "x", "</s>"};
  const auto trie = std::make_shared<const TokenTrie>(tokens, std::vector<bool>{false, false, false, true});
  GrammarMatcher matcher(Grammar::parse("root ::= \"x\" | \"(\" root \")\""), trie);
  constexpr int kDepth = 30'000;
  for (int i = 0; i < kDepth; ++i) matcher.accept(0);
  matcher.accept(2);
  for (int i = 0; i < kDepth; ++i) {
    REQUIRE_FALSE(matcher.may_end());
    matcher.accept(1);
  }
  CHECK(matcher.must_end());
  CHECK_FALSE(matcher.allows(1));
}

TEST_CASE("texts that are no grammar are told where and why") {
  using core::Kind;
  CHECK(refusal("root ::= \"a", Kind::malformed) == "grammar: line 1: expected the end of a literal at \"\"");
  CHECK(refusal("root ::= \"a\"\nb ::= ( \"c\"", Kind::malformed) == "grammar: line 2: expected \")\" at \"\"");
  CHECK(refusal("root = \"a\"", Kind::malformed) == "grammar: line 1: expected ::= at \"= \"a\"\"");
  CHECK(refusal("root ::= other", Kind::malformed) == "grammar: line 1: no rule is called other");
  CHECK(refusal("start ::= \"a\"", Kind::malformed) == "grammar: no rule is called root");
  CHECK(refusal("root ::= \"a\"\nroot ::= \"b\"", Kind::malformed) == "grammar: the rule root is there twice");
  CHECK(refusal("root ::= [z-a]", Kind::malformed) == "grammar: line 1: a class runs backwards");
  CHECK(refusal("root ::= \"\\q\"", Kind::malformed) == "grammar: line 1: unknown escape");
  CHECK(refusal("root ::= \"a\"{3,2}", Kind::malformed) == "grammar: line 1: {3,2} is no range");
  CHECK(refusal("root ::= \"\xFF\"", Kind::malformed) == "grammar: line 1: not valid UTF-8");
  CHECK(refusal("root ::= \"a\"{100000}", Kind::refused) == "grammar: line 1: more than 10000 repetitions");
  CHECK(refusal("root ::= ((\"a\"{9999}){9999}){9999}", Kind::refused) == "grammar: more than 262144 states");
  CHECK(refusal("root ::= " + std::string(200, '(') + "\"a\"" + std::string(200, ')'), Kind::refused) == "grammar: line 1: groups nested deeper than 64");
  CHECK(refusal(std::string(2 << 20, ' '), Kind::refused) == "grammar: 2097152 bytes, at most 1048576 are allowed");
  CHECK(refusal("root ::= root \"a\" | \"b\"", Kind::unsupported) == "grammar: the rule root can begin with itself (left recursion)");
  CHECK(refusal("root ::= \"x\" a\na ::= b* c\nb ::= \"y\"\nc ::= a", Kind::unsupported).find("left recursion") != std::string::npos);
  CHECK(refusal("root ::= \"a\" root", Kind::malformed) == "grammar: no finite text matches the rule root");
}

TEST_CASE("what cannot end is never begun") {
  CHECK(matches("root ::= \"a\" | \"b\" endless\nendless ::= \"c\" endless", "a"));
  const auto trie = std::make_shared<const TokenTrie>(std::vector<std::string>{"a", "b", "c", ""}, std::vector<bool>{false, false, false, true});
  GrammarMatcher matcher(Grammar::parse("root ::= \"a\" | \"b\" endless\nendless ::= \"c\" endless"), trie);
  CHECK(matcher.allows(0));
  CHECK_FALSE(matcher.allows(1));
  GrammarMatcher lost(Grammar::parse("root ::= \"d\""), trie);
  std::vector<float> logits(4, 0.0F);
  CHECK_THROWS_AS(lost.mask(logits), core::Error);
}

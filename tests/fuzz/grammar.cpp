// Fuzz target: grammars in the notation of GBNF. Input: the grammar, a zero byte, and a text to follow through it byte by
// byte: mask, single questions and the whole match must agree.
// covers: core/text/grammar/grammar.cpp core/text/grammar/syntax.cpp core/text/grammar/compile.cpp core/text/grammar/finish.cpp core/text/grammar/code_ranges.cpp
#include <cmath>
#include <limits>
#include <string>

#include "core/text/grammar/matcher.h"
#include "tests/fuzz/byte_tokens.h"
#include "tests/fuzz/target.h"

namespace {

using namespace starling::core;

constexpr std::size_t kTextMax = 64;

void follow(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  const auto trie = starling::tests::byte_tokens();
  const TokenId end = 256;
  GrammarMatcher matcher(grammar, trie);
  std::vector<float> logits(trie->size());
  for (const char c : text) {
    const auto id = static_cast<TokenId>(static_cast<unsigned char>(c));
    std::fill(logits.begin(), logits.end(), 0.0f);
    try {
      matcher.mask(logits);
    } catch (const Error& error) {
      ensure(error.kind() == Kind::refused, error.what());
      return;
    }
    const bool allowed = matcher.allows(id);
    ensure(allowed == std::isfinite(logits[static_cast<std::size_t>(id)]), "mask and allows disagree about a byte");
    ensure(matcher.allows(end) == matcher.may_end() && matcher.may_end() == std::isfinite(logits[end]), "they disagree about the end");
    if (!allowed) {
      ensure(!matches(grammar, text), "a text matches as a whole, but not byte by byte");
      return;
    }
    matcher.accept(id);
  }
  ensure(matches(grammar, text) == matcher.may_end(), "a text ends otherwise as a whole than byte by byte");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = std::min(all.find('\0'), size);
  starling::tests::refuse_politely([&] {
    const auto grammar = Grammar::parse(all.substr(0, cut));
    follow(grammar, all.substr(std::min(cut + 1, size)).substr(0, kTextMax));
  });
  return 0;
}

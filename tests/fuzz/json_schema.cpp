// Fuzz target: JSON schemas as grammars. Input: the schema, a zero byte, and bytes that choose a way through its grammar:
// what may end there must be JSON.
// covers: core/text/grammar/json_schema.cpp core/text/grammar/schema_formats.cpp core/text/grammar/schema_merge.cpp core/text/grammar/schema_numbers.cpp core/text/grammar/schema_pattern.cpp core/text/grammar/schema_types.cpp core/text/grammar/schema_value.cpp
#include <cmath>
#include <string>

#include "core/text/grammar/json_schema.h"
#include "core/text/grammar/matcher.h"
#include "tests/fuzz/byte_tokens.h"
#include "tests/fuzz/target.h"

namespace {

using namespace starling::core;

constexpr std::size_t kWalkMax = 48;

void walk(const std::shared_ptr<const Grammar>& grammar, std::string_view choices) {
  const auto trie = starling::tests::byte_tokens();
  GrammarMatcher matcher(grammar, trie);
  std::string text;
  std::vector<float> logits(trie->size());
  for (const char choice : choices) {
    if (matcher.must_end()) break;
    std::fill(logits.begin(), logits.end(), 0.0f);
    matcher.mask(logits);
    std::vector<TokenId> allowed;
    for (TokenId id = 0; id < 256; ++id)
      if (std::isfinite(logits[static_cast<std::size_t>(id)])) allowed.push_back(id);
    if (allowed.empty()) break;
    const TokenId id = allowed[static_cast<unsigned char>(choice) % allowed.size()];
    matcher.accept(id);
    text.push_back(static_cast<char>(id));
  }
  if (matcher.may_end()) ensure(OrderedJson::accept(text), "a text of a schema's grammar is no JSON");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = std::min(all.find('\0'), size);
  const OrderedJson schema = OrderedJson::parse(all.substr(0, cut), nullptr, false);
  if (schema.is_discarded()) return 0;
  starling::tests::refuse_politely([&] {
    const std::string text = json_schema_grammar(schema);
    std::shared_ptr<const Grammar> grammar;
    try {
      grammar = Grammar::parse(text);
    } catch (const Error& error) {
      // Too large, or a schema that is its own reference; anything else is a bug of the converter.
      ensure(error.kind() == Kind::refused || error.kind() == Kind::unsupported, error.what());
      return;
    }
    walk(grammar, all.substr(std::min(cut + 1, size)).substr(0, kWalkMax));
  });
  return 0;
}

#include "core/text/grammar/grammar.h"

#include "core/text/grammar/syntax.h"

namespace starling::core {

std::shared_ptr<const Grammar> Grammar::parse(std::string_view text) {
  return std::shared_ptr<const Grammar>(new Grammar(compile(parse_grammar_text(text))));
}

}  // namespace starling::core

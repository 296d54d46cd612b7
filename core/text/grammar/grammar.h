// A grammar that generated text must follow, in the notation of llama.cpp's GBNF: rules `name ::= ...` with literals,
// classes [a-z] and [^"], '.', groups, '|', * + ? {m} {m,} {m,n} and references; '#' begins a comment. `root` is the
// whole text.
#pragma once

#include <memory>
#include <string_view>

#include "core/text/grammar/automaton.h"

namespace starling::core {

/// Compiled and immutable: one may serve many matchers on many threads.
class Grammar {
 public:
  /// Kind::malformed naming the line; Kind::unsupported for a rule that can begin with itself; Kind::refused above the
  /// bounds (1 MiB of text, groups 64 deep, 10,000 repetitions, 262,144 states).
  static std::shared_ptr<const Grammar> parse(std::string_view text);

  const Automaton& automaton() const { return automaton_; }

 private:
  explicit Grammar(Automaton automaton) : automaton_(std::move(automaton)) {}
  Automaton automaton_;
};

}  // namespace starling::core

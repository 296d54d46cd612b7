// The text of a grammar as a tree: what parse_grammar_text() reads and compile() turns into automata.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/grammar/automaton.h"

namespace starling::core {

struct GrammarNode {
  enum class What { literal, characters, reference, sequence, alternatives, repeat };
  What what;
  std::string text{};              // literal: its bytes; reference: the rule's name
  std::vector<CodeRange> ranges{}; // characters: normalised
  std::vector<GrammarNode> parts{};  // sequence, alternatives; repeat: the one part
  int least = 0, most = 0;         // repeat; most < 0: no end
  std::size_t line = 0;            // reference
};

struct GrammarRule {
  std::string name;
  GrammarNode body;
};

/// The rules in order. Kind::malformed naming the line.
std::vector<GrammarRule> parse_grammar_text(std::string_view text);

/// `rules` must hold one named "root". Kind::malformed for unknown references, Kind::refused for too many states.
Automaton compile(const std::vector<GrammarRule>& rules);

}  // namespace starling::core

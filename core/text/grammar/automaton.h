// What a grammar is compiled to: for every rule a small automaton over bytes, whose edges read one byte of a set, call
// another rule, or read nothing. Characters beyond ASCII are rules of their own, made of UTF-8's byte ranges, so that
// a character cut by a token boundary is simply a position inside such a rule.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace starling::core {

using ByteSet = std::bitset<256>;
using StateId = std::int32_t;
using RuleId = std::int32_t;

struct Automaton {
  struct Edge {
    std::int32_t bytes = -1;  // index into `sets`, or -1
    RuleId rule = -1;         // the rule to pass first, or -1; both -1: reads nothing
    StateId to = -1;
  };
  struct Rule {
    std::string name;
    StateId start = -1, end = -1;
  };
  std::vector<std::vector<Edge>> edges;  // by state
  std::vector<bool> final;               // by state: the rule may end here
  std::vector<ByteSet> sets;
  std::vector<Rule> rules;               // the first is the root
  /// Bytes that no set tells apart share a class.
  std::array<std::uint8_t, 256> byte_class{};
  int classes = 0;
};

/// A range of code points, both ends included.
struct CodeRange {
  char32_t first, last;
  friend bool operator==(const CodeRange&, const CodeRange&) = default;
};

/// Sorted, without overlaps or surrogates.
std::vector<CodeRange> normalised(std::vector<CodeRange> ranges);
/// Every code point that is not in `ranges` (normalised).
std::vector<CodeRange> complement(const std::vector<CodeRange>& ranges);
/// The UTF-8 of `ranges` (normalised) as sequences of byte ranges, each of 1 to 4 bytes.
using ByteRange = std::pair<unsigned char, unsigned char>;
std::vector<std::vector<ByteRange>> utf8_sequences(const std::vector<CodeRange>& ranges);

/// Removes what cannot end, numbers the byte classes. Kind::unsupported for left recursion, Kind::malformed for a root
/// that no finite text matches.
void finish(Automaton& automaton);

}  // namespace starling::core

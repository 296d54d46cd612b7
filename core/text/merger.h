// The merging step that both kinds of BPE share: symbols in a row, a table of pairs that may join, and the
// rule "lowest priority first, leftmost on ties". A heap of candidate pairs over a linked list of symbols
// takes n log n steps, so that a megabyte without a single cut does not go quadratic.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace starling::core {

/// An index that the tokenizer chose; negative symbols never merge.
using SymbolId = std::int32_t;

class MergeTable {
 public:
  struct Result {
    std::uint32_t priority;  // lower merges first
    SymbolId merged;
  };
  explicit MergeTable(std::size_t pairs_expected);
  /// Keeps the first entry of a pair.
  void add(SymbolId left, SymbolId right, Result result);
  const Result* find(SymbolId left, SymbolId right) const;

 private:
  struct Slot {
    std::uint64_t key;
    Result result;
  };
  static std::uint64_t key_of(SymbolId left, SymbolId right);
  std::size_t home(std::uint64_t key) const { return (key * 0x9E3779B97F4A7C15u) >> shift_; }
  void grow();

  std::vector<Slot> slots_;
  std::size_t used_ = 0;
  int shift_;
};

/// Works on one row of symbols at a time and keeps its memory between rows. Not for several threads at once.
class Merger {
 public:
  explicit Merger(const MergeTable& table) : table_(table) {}

  struct Symbol {
    SymbolId id;
    std::int32_t first;   // index of its first input symbol
    std::int32_t origin;  // index into history(), or -1: never merged
  };
  struct Merge {
    SymbolId left, right;
    std::int32_t left_origin, right_origin;
  };

  /// Starts a row; add its symbols with push(), then run().
  void clear();
  void push(SymbolId id);
  /// The row after all merges, valid until the next clear().
  const std::vector<Symbol>& run();
  /// How the symbols of the row came about.
  const std::vector<Merge>& history() const { return history_; }

 private:
  struct Node {
    SymbolId id;
    std::int32_t previous, next, origin;
  };
  struct Candidate {
    std::uint64_t order;  // priority, then position
    SymbolId left, right, merged;
  };
  std::optional<Candidate> candidate(std::int32_t left) const;
  void offer(std::int32_t left);

  const MergeTable& table_;
  std::vector<Node> nodes_;
  std::vector<Candidate> heap_;
  std::vector<Merge> history_;
  std::vector<Symbol> row_;
};

}  // namespace starling::core

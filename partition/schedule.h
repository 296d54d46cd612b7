// Which rows go through the model in the next step, as a state machine without threads and clocks: sequences come, get
// tokens and go; plan() says what the step consists of. Continuous batching by iteration (Yu et al. 2022, Orca) with
// prompts in pieces (Agrawal et al. 2024, Sarathi-Serve): first one row of every sequence that writes, then pieces of
// prompts in the order of arrival, as many rows as are left.
//
// A slot has room for a whole context in one piece, so that attention walks it as fast as a single sequence's and a
// running sequence never has to be put aside for want of memory. A slot keeps what it holds when its sequence ends; a
// new prompt goes on from the longest beginning that it shares with any slot, in place or after a copy (a copy costs
// thousands of times less than computing). Token ids are compared themselves: over so few slots that is cheaper than
// to hash the prompt, and it cannot be wrong.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "core/text/vocabulary.h"

namespace starling::partition {

using SequenceId = std::uint64_t;  // 0 is none

struct ScheduleOptions {
  std::int64_t sequences = 1;  // slots
  std::int64_t positions = 0;  // of a slot
  std::int64_t rows = 1;       // of a step; at least one for each slot
  bool reuse_prefixes = true;
};

/// One sequence's part of a step: `tokens` come behind the first `position`, which are in `slot`, or in `source` and
/// have to be copied before anything is computed, in the order of the turns.
struct Turn {
  SequenceId id = 0;
  std::int64_t slot = 0, source = 0, position = 0;
  std::span<const core::TokenId> tokens;  // valid until the sequence gets a token or ends
  bool first = false;                     // the sequence starts; `position` tokens of its prompt were found
  bool last = false;                      // the sequence has no more tokens: it needs the logits
};

class Schedule {
 public:
  explicit Schedule(const ScheduleOptions& options);

  /// A prompt of 1 to `positions` tokens waits for a slot. `whole`: every row of it is to be computed.
  void arrive(SequenceId id, std::vector<core::TokenId> prompt, bool whole = false);
  /// The next step; empty when nothing waits or runs. Ends with computed() or abandoned().
  std::span<const Turn> plan();
  /// The planned rows are in the caches.
  void computed();
  /// The planned step failed: its sequences are over, and nothing of it is taken for computed.
  void abandoned();
  /// The sequence, whose last turn was `last`, goes on with a token. False, and the sequence is over, when its slot is full.
  bool append(SequenceId id, core::TokenId token);
  /// The sequence is over, whether it runs or waits; false when it was before. Not between plan() and computed().
  bool end(SequenceId id);

  std::int64_t running() const { return static_cast<std::int64_t>(running_.size()); }
  std::int64_t waiting() const { return static_cast<std::int64_t>(waiting_.size()); }
  bool idle() const { return running_.empty() && waiting_.empty(); }
  /// Positions of all slots whose keys and values are there.
  std::int64_t positions_used() const;

 private:
  struct Slot {
    SequenceId owner = 0;
    std::vector<core::TokenId> tokens;  // known; of an ended sequence those that are computed
    std::size_t computed = 0, prompt = 0;
    std::uint64_t used = 0;             // number of the event that last used it
  };
  struct Waiting {
    SequenceId id;
    std::vector<core::TokenId> prompt;
    bool whole;
  };
  /// Where a prompt starts, and what it finds there.
  struct Place {
    std::size_t slot, source, found;
  };

  Place place(const Waiting& next) const;
  bool is_being_computed(const Waiting& next) const;
  bool admit(std::int64_t rows_left);
  void take_turn(std::size_t slot, std::size_t rows, bool first, std::size_t source);
  std::size_t slot_of(SequenceId id) const;
  void release(std::size_t slot);

  ScheduleOptions options_;
  std::vector<Slot> slots_;
  std::vector<std::size_t> running_;  // slots, in the order in which their sequences started
  std::deque<Waiting> waiting_;
  std::vector<Turn> turns_;
  std::uint64_t events_ = 0;
};

}  // namespace starling::partition

// `auto`: which all-reduce algorithm suits these links and these sizes. Rank 0 measures the links, the cost
// formulas give a shortlist, a short trial of the shortlist at the very sizes of the job decides, and all ranks
// learn the outcome.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "comm/collective.h"

namespace starling::comm {

struct Candidate {
  std::string name;
  double predicted_us = 0;
  double measured_us = 0;  // of the slowest rank; 0: predicted too slow to be tried

  friend bool operator==(const Candidate&, const Candidate&) = default;
};

struct Choice {
  std::size_t elements = 0;
  std::string algorithm;
  std::vector<Candidate> candidates;  // on rank 0; other ranks know only the outcome

  friend bool operator==(const Choice&, const Choice&) = default;
};

struct Selection {
  std::vector<Choice> choices;  // in the order of the sizes asked for
  bool measured = false;        // false: the algorithm was given, or there is one rank
  LinkCost link;                // of the slowest link of rank 0, where measured (rank 0 only)
  std::string note;             // a sentence when links are missing, else empty
};

struct ChooserOptions {
  double shortlist_factor = 2;      // tried: what is predicted at most so many times the best
  double trial_cheap_s = 1e-3;      // what is predicted faster than this is tried in any case
  double trial_budget_s = 0.3;      // of trials per size, about; slow links get a few calls of each
  Deadline deadline = kNoDeadline;  // of the whole measurement
};

/// Calls that are timed as one, each counting its share, after one that is not timed: the ranks of an all-reduce
/// finish at different times and begin the next one so, and of single calls a rank may see long and short ones in
/// turn. Fewer calls are timed in pairs.
inline constexpr int kTimedTogether = 8;

/// Every rank of the group calls with the same arguments. At most 64 sizes of at least one element.
Selection choose(Transport& transport, Scratch& scratch, core::Sum sum, std::span<const std::size_t> elements,
                 const ChooserOptions& options = {});

/// What the user asked for: a name of collectives() for all sizes, or "auto".
Selection select(Transport& transport, Scratch& scratch, std::string_view algorithm, core::Sum sum,
                 std::span<const std::size_t> elements);

/// One line for people: which algorithm at which size, predicted and measured.
std::string describe(const Selection& selection);

}  // namespace starling::comm

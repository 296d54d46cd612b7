// The plans over which `bench equality` promises the same bits, as a list.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace starling::tools::bench {

/// One way to cut and run a model.
struct Combination {
  std::string transport;
  int ranks = 1;
  std::size_t model = 0;  // index into the models asked for
  std::string shares;
  std::string algorithm;
  std::int64_t chunk = 0;

  friend bool operator==(const Combination&, const Combination&) = default;
};

/// The values that each part of a combination takes.
struct Axes {
  std::vector<std::string> transports;
  std::vector<int> ranks;
  std::size_t models = 0;
  std::vector<std::string> shares, algorithms;
  std::vector<std::int64_t> chunks;
};

/// Every combination, those of one transport and number of ranks together. One rank has no shares and sums nothing:
/// it appears with the first of each only.
std::vector<Combination> combinations(const Axes& axes);

/// A small part of `all`, in its order, in which every two values of different axes that meet in `all` meet too
/// (pairwise testing). Greedy: at most a few more than necessary.
std::vector<Combination> covering_pairs(const std::vector<Combination>& all);

/// "model:shares:algorithm:chunk": what the ranks of an MPI job are told; their number and transport they know.
std::string to_text(const Combination& combination);
/// Kind::usage when the text is none.
Combination parse_combination(const std::string& text);

}  // namespace starling::tools::bench

// What a recorded link or processor lets through over time, the recording repeated for ever: bytes of a link, seconds of
// undisturbed work of a processor with other things to do. A pure function of time.
#pragma once

#include <vector>

#include "sim/link.h"

namespace starling::sim {

class Capacity {
 public:
  /// Opportunities of `each` at the given times of a recording (not falling, from 0); the last one also ends it, as
  /// mahimahi's mm-link has it. An amount takes whole ones.
  static Capacity opportunities(const std::vector<Time>& at, double each);
  /// rates[i] a second from ends[i - 1] (0 for the first) to ends[i]; ends rise, rates are not negative.
  static Capacity rates(std::vector<Time> ends, const std::vector<double>& rates);

  /// When an amount that begins at `start` >= 0 is through: the first time by which that much of what came from `start`
  /// on, its own moment included, adds up. `start` for nothing. O(log n) however often the recording is repeated.
  /// Kind::usage where Time cannot hold it.
  Time finish(Time start, double amount) const;

  Time period() const { return times_.back(); }
  double mean_per_second() const { return sums_.back() / (static_cast<double>(period().count()) / 1e9); }

 private:
  Capacity(std::vector<Time> times, std::vector<double> sums, bool steps);
  /// What is through before `phase`, which is above 0 and at most the period, within one repetition.
  double before(Time phase) const;
  /// The first time within a repetition when `amount`, above 0 and at most the whole, is through.
  Time first(double amount) const;

  // What one repetition has let through by which time; between two times all of it at the later one, or evenly.
  std::vector<Time> times_;
  std::vector<double> sums_;
  bool steps_;
};

}  // namespace starling::sim

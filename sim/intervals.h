// When a device is there, as a list of stays that repeats itself, both ends included (FedScale, Lai et al. 2022). Every
// question is answered by binary search, so that time may jump.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "federated/server.h"

namespace starling::sim {

struct Stay {
  std::uint32_t begin_ms = 0, end_ms = 0;
};

/// Stays within one period, in order, none beginning before the one before has ended. Whoever has none is always there.
/// Time counts in whole microseconds, so that an edge is met exactly in any period.
struct Intervals {
  std::span<const Stay> stays;
  std::uint32_t period_ms = 0;

  bool inside(federated::Seconds now) const;
  /// The end of the stay under way, stays that touch being one; `now` for who is not there, nullopt for who never leaves.
  std::optional<federated::Seconds> leaves(federated::Seconds now) const;
  /// When the next stay after `now` begins; nullopt for who is always there.
  std::optional<federated::Seconds> comes(federated::Seconds now) const;

 private:
  /// How far now is into its period.
  std::int64_t phase_us(federated::Seconds now) const;
  /// The stay that holds a phase, the later one where two touch; else stays.size().
  std::size_t at(std::int64_t phase_us) const;
};

}  // namespace starling::sim

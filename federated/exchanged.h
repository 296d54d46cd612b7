// Which values of a model travel between server and clients. What a strategy leaves at home is neither sent nor counted:
// either side fills in its own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/train/parameters.h"

namespace starling::federated {

struct LocalWork;

/// FedBN: normalisation layers, statistics included, are the client's own.
bool stays_home(const core::ParameterEntry& entry, const LocalWork& work);

class Exchanged {
 public:
  Exchanged(const core::ParameterLayout& layout, const LocalWork& work);

  /// How many travel.
  std::uint64_t values() const { return values_; }
  /// Those of a whole model, one after the other.
  std::vector<float> pick(std::span<const float> model) const;
  /// Back to their places; the others stay as they are. `values` are as many as values().
  void put(std::span<const float> values, std::span<float> model) const;

 private:
  struct Run {
    std::size_t begin = 0, size = 0;
  };
  std::vector<Run> runs_;  // of neighbours that travel
  std::uint64_t values_ = 0;
};

}  // namespace starling::federated

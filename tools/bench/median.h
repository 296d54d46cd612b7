// What benchmarks say of repeated measurements.
#pragma once

#include <algorithm>
#include <vector>

#include "core/error.h"

namespace starling::tools::bench {

/// The middle one; of an even number the upper of the two in the middle.
inline double median_of(std::vector<double> values) {
  core::ensure(!values.empty(), "nothing has no median");
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace starling::tools::bench

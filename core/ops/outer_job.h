// Sums of outer products as the per-target kernels see them.
#pragma once

#include "core/ops/outer.h"

namespace starling::core {

struct OuterJob {
  const float* a;
  std::int64_t rows, columns;
  std::span<const OuterSum> sums;
  float* a_sum;
};

}  // namespace starling::core

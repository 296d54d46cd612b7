// A stretch of values whose activation goes backward, as the per-target kernels see it.
#pragma once

#include <cstddef>

namespace starling::core {

struct ActivationRange {
  const float *x, *y, *dy;
  float* dx;
  std::size_t count;
  bool fresh;
};

}  // namespace starling::core

// One matrix product as the per-target kernels see it.
#pragma once

#include "core/ops/gemm.h"

namespace starling::core {

/// c(i, j) = sum over k of rows(i, k) * lanes(k, j).
struct GemmJob {
  MatrixView rows, lanes;
  float* c;
  std::int64_t c_row_stride, c_lane_stride;
  bool accumulate;
  std::int64_t row_shares;  // tasks per panel
};

}  // namespace starling::core

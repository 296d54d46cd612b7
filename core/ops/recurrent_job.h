// A recurrent layer as the per-target kernels see it.
#pragma once

#include "core/ops/recurrent.h"

namespace starling::core {

struct RecurrentJob {
  RecurrentSize size;
  const float* x;
  const float *packed_in, *packed_hidden;  // panels of the weights: transposed for forward, as they are for backward
  const float *bias_in, *bias_hidden;      // an LSTM's are one
  const float* d_out;
  InputsGradient d_x;
  float *d_state, *d_cell;  // {batch, width}: what the step before is owed

  std::int64_t state() const { return size.batch * size.width; }
};

}  // namespace starling::core

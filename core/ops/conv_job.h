// One convolution as the per-target kernels see it.
#pragma once

#include <functional>

#include "core/ops/conv.h"

namespace starling::core {

struct ConvJob {
  ConvShape shape;
  const float* padded;               // {batch, channels, padded_height, padded_width}
  const std::int32_t* tap_offsets;   // of a tap in a padded image: {taps}
  const std::int32_t* place_offsets; // of an output position in a padded image: {positions}
  const float* weights;              // forward: {outputs, taps}, or {panels, taps, lanes of a panel} with the outputs in the lanes
  const float* bias;
  float* y;
  bool accumulate;

  std::int64_t image_floats() const { return shape.channels * shape.padded_height() * shape.padded_width(); }
};

/// The gradient of the weights: sums[tap][output lanes].
struct ConvWeightsJob {
  ConvJob conv;
  const float* dy_lanes;  // {batch, positions, lanes}
  std::int64_t lanes;     // outputs, rounded up to whole vectors
  float* sums;            // {taps, lanes}
};

/// Where a tap, and where an output's first tap, lies in a padded image.
const std::int32_t* tap_table(const ConvShape& shape, Arena& arena);
const std::int32_t* place_table(const ConvShape& shape, Arena& arena);
/// `outputs`, rounded up to the vectors of this machine.
std::int64_t conv_whole_vectors(std::int64_t outputs);
/// {rows, columns} as {columns, lanes >= rows}, zeros in the lanes beyond.
void conv_lay_lanes(const float* in, std::int64_t rows, std::int64_t columns, std::int64_t lanes, float* out);
/// parallel_for, if the convolution is worth it.
void conv_share(const ConvShape& shape, std::int64_t count, std::int64_t grain, Pool& pool, const std::function<void(std::int64_t, std::int64_t)>& body);
/// conv_forward() by sums over the taps; with `accumulate` they begin with y.
void conv_direct(const ConvShape& shape, const float* padded, const float* w, const float* bias, float* y, bool accumulate, Arena& arena, Pool& pool);

}  // namespace starling::core

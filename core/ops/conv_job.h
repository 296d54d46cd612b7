// One convolution as the per-target kernels see it.
#pragma once

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

}  // namespace starling::core

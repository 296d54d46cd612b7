// Winograd convolutions as the per-target kernels see them.
#pragma once

#include <algorithm>

#include "core/ops/winograd.h"

namespace starling::core {

constexpr std::int64_t kPoints = 16;  // of the transformed plane, 4x4

/// Channels side by side in whole groups of sixteen, the same for all lengths of vectors.
inline std::int64_t lanes_of(std::int64_t channels) { return (channels + 15) / 16 * 16; }

/// How the tiles of a batch, numbered by image, row and column, are cut into blocks whose operands fit the cache. No
/// result depends on it.
struct Tiling {
  std::int64_t across = 0, down = 0;  // tiles of an image
  std::int64_t rows = 0;              // of tiles in a strip
  std::int64_t strips = 0;            // of an image; its last one may have fewer rows
  std::int64_t units = 0;             // strips of the batch
  std::int64_t group = 1;             // strips of a block

  std::int64_t blocks() const { return (units + group - 1) / group; }
  std::int64_t tiles_max() const { return group * rows * across; }  // of a block
  std::int64_t first_row(std::int64_t unit) const { return unit % strips * rows; }
  std::int64_t rows_of(std::int64_t unit) const { return std::min(rows, down - first_row(unit)); }
  std::int64_t first_tile(std::int64_t unit) const { return (unit / strips * down + first_row(unit)) * across; }
  std::int64_t in_width() const { return 2 * across + 2; }
  std::int64_t out_width() const { return 2 * across; }
  /// Floats of a strip of the input or of the output.
  std::int64_t strip_floats(const ConvShape& s) const {
    return std::max((2 * rows + 2) * in_width() * lanes_of(s.channels), 2 * rows * out_width() * lanes_of(s.outputs));
  }
  /// From a point to the next of transformed tiles of `channels`: a line more than the tiles take, so that the sixteen do
  /// not fall into the same cache sets.
  std::int64_t plane(std::int64_t channels) const { return tiles_max() * lanes_of(channels) + 16; }
};

/// Blocks of about `tiles` tiles.
inline Tiling tiling(const ConvShape& s, std::int64_t tiles) {
  Tiling t;
  t.across = (s.out_width() + 1) / 2;
  t.down = (s.out_height() + 1) / 2;
  const std::int64_t most = std::clamp<std::int64_t>(tiles / t.across, 1, t.down), cuts = (t.down + most - 1) / most;
  t.rows = (t.down + cuts - 1) / cuts;
  t.strips = (t.down + t.rows - 1) / t.rows;
  t.units = s.batch * t.strips;
  t.group = std::clamp<std::int64_t>(tiles / (t.rows * t.across), 1, t.units);
  return t;
}

struct WinogradKernelsJob {
  const float* w;
  std::int64_t lanes, depth;              // channels in the lanes and in the sum
  std::int64_t lane_stride, depth_stride; // in w
  bool turned;
  float* u;  // {points, panels of lanes, depth, lanes of a panel}
};

struct WinogradJob {
  ConvShape shape;
  Tiling tiling;
  const float* x;
  const float* u;
  const float* bias;  // {lanes_of(outputs)}
  float* y;
  bool accumulate;
};

struct WinogradWeightsJob {
  ConvShape shape;
  Tiling tiling;
  const float *x, *dy;
  float *v, *d;  // the transformed tiles of x and of dy of a block: {points, tiles, lanes}
  float* du;     // {points, channels, lanes}
  float* sums;   // {channels, 9, lanes}
  float* slope;  // of the bias: {lanes}
};

}  // namespace starling::core

// The gradient of the weights of a Winograd convolution: with V = B^T x B and D = A dy A^T of a tile, the gradient of
// the transformed kernel is the sum of D V over all tiles, and dw = G^T (that) G.
#include <algorithm>
#include <cstring>
#include <functional>

#include "core/ops/winograd.h"
#include "core/ops/winograd_job.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/winograd_weights.cpp"
#include <hwy/foreach_target.h>

#include "core/ops/tile.h"
#include "core/ops/winograd_tiles.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

/// The tiles of strips [begin, end) of the block that begins with strip `first`.
void winograd_slopes(const WinogradWeightsJob& job, std::int64_t first, std::int64_t begin, std::int64_t end) {
  const ConvShape& s = job.shape;
  const Tiling& t = job.tiling;
  const std::int64_t in_lanes = lanes_of(s.channels), out_lanes = lanes_of(s.outputs);
  thread_local Arena arena;
  const Arena::Mark mark = arena.mark();
  float* image = arena.floats(static_cast<std::size_t>(t.strip_floats(s)));
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const std::int64_t n = unit / t.strips, row = t.first_row(unit), rows = t.rows_of(unit), tile = t.first_tile(unit) - t.first_tile(first);
    gather_lanes(job.x + n * s.channels * s.height * s.width, s.channels, s.height, s.width, 2 * row - s.pad, -s.pad, 2 * rows + 2, t.in_width(), image);
    transform_input(image, rows, t.across, in_lanes, job.v + tile * in_lanes, t.plane(s.channels));
    gather_lanes(job.dy + n * s.outputs * s.positions(), s.outputs, s.out_height(), s.out_width(), 2 * row, 0, 2 * rows, t.out_width(), image);
    transform_slopes(image, rows, t.across, out_lanes, job.d + tile * out_lanes, t.plane(s.outputs));
  }
  arena.release(mark);
}

/// Point (1, 1) of A dy A^T is the sum of the tile: what the bias gets.
constexpr std::int64_t kSumPoint = 5;

/// du += over `tiles` tiles, or = with `fresh`, for shares [begin, end): a point and `rows` channels each.
void winograd_weight_sums(const WinogradWeightsJob& job, std::int64_t tiles, bool fresh, std::int64_t rows, std::int64_t begin, std::int64_t end) {
  const std::int64_t channels = job.shape.channels, in_lanes = lanes_of(channels), lanes = lanes_of(job.shape.outputs);
  const std::int64_t shares = (channels + rows - 1) / rows;
  for (std::int64_t share = begin; share < end; ++share) {
    const std::int64_t point = share / shares, channel_begin = share % shares * rows, channel_end = std::min(channels, channel_begin + rows);
    const float* v = job.v + point * job.tiling.plane(channels);
    const float* d = job.d + point * job.tiling.plane(job.shape.outputs);
    if (point == kSumPoint && channel_begin == 0)
      for (std::int64_t lane = 0; lane < lanes; lane += static_cast<std::int64_t>(kLanes)) {
        VF sum = fresh ? hn::Zero(DF()) : hn::LoadU(DF(), job.slope + lane);
        for (std::int64_t tile = 0; tile < tiles; ++tile) sum = hn::Add(sum, hn::LoadU(DF(), d + tile * lanes + lane));
        hn::StoreU(sum, DF(), job.slope + lane);
      }
    for (std::int64_t panel = 0; panel < lanes; panel += static_cast<std::int64_t>(kTileColumns)) {
      const std::size_t vectors = static_cast<std::size_t>(lanes - panel) <= kLanes ? 1 : kTileVectors;
      for (std::int64_t channel = channel_begin; channel < channel_end;) {
        const std::size_t count = tile_rows(static_cast<std::size_t>(channel_end - channel));
        const float* a[kTileRows];
        for (std::size_t r = 0; r < count; ++r) a[r] = v + channel + static_cast<std::int64_t>(r);
        run_tile(count, vectors, a, Strided{static_cast<std::size_t>(in_lanes)}, d + panel, Strided{static_cast<std::size_t>(lanes)},
                 static_cast<std::size_t>(tiles), fresh ? Start::zero : Start::sum, nullptr, job.du + (point * channels + channel) * lanes + panel,
                 static_cast<std::size_t>(lanes));
        channel += static_cast<std::int64_t>(count);
      }
    }
  }
}

/// G^T du G of channels [begin, end), and from there to dw {outputs, channels, 3, 3}.
void winograd_weights(const WinogradWeightsJob& job, float* dw, std::int64_t begin, std::int64_t end) {
  const DF d;
  const VF half = hn::Set(d, 0.5f);
  const std::int64_t channels = job.shape.channels, lanes = lanes_of(job.shape.outputs);
  const auto taps = [&](VF p0, VF p1, VF p2, VF p3, VF(&out)[3]) {
    const VF sum = hn::Mul(half, hn::Add(p1, p2));
    out[0] = hn::Add(p0, sum);
    out[1] = hn::Mul(half, hn::Sub(p1, p2));
    out[2] = hn::Add(sum, p3);
  };
  for (std::int64_t channel = begin; channel < end; ++channel) {
    float* sums = job.sums + channel * 9 * lanes;
    for (std::int64_t lane = 0; lane < lanes; lane += static_cast<std::int64_t>(kLanes)) {
      const auto point = [&](std::int64_t p) { return hn::LoadU(d, job.du + (p * channels + channel) * lanes + lane); };
      VF column[4][3], tap[3];
      for (std::int64_t j = 0; j < 4; ++j) taps(point(j), point(4 + j), point(8 + j), point(12 + j), column[j]);
      for (std::int64_t i = 0; i < 3; ++i) {
        taps(column[0][i], column[1][i], column[2][i], column[3][i], tap);
        for (std::int64_t j = 0; j < 3; ++j) hn::StoreU(tap[j], d, sums + (3 * i + j) * lanes + lane);
      }
    }
    transpose<true>(sums, 9, static_cast<std::size_t>(job.shape.outputs), static_cast<std::size_t>(lanes), dw + channel * 9,
                    static_cast<std::size_t>(9 * channels));
  }
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(winograd_slopes);
HWY_EXPORT(winograd_weight_sums);
HWY_EXPORT(winograd_weights);

void winograd_backward_weights(const ConvShape& s, const float* x, const float* dy, float* dw, float* dbias, Arena& arena, Pool& pool) {
  const Arena::Mark mark = arena.mark();
  constexpr std::int64_t kFloats = 16384, kTilesMin = 128;  // per point: what the second cache holds; tiles to one load and store of du
  const std::int64_t lanes = lanes_of(s.outputs);
  WinogradWeightsJob job{s, tiling(s, std::max(kTilesMin, kFloats / (s.channels + s.outputs))), x, dy, nullptr, nullptr, nullptr, nullptr, nullptr};
  job.tiling.group = std::min(job.tiling.units, job.tiling.group * pool.threads());
  const Tiling& t = job.tiling;
  job.v = arena.floats(static_cast<std::size_t>(kPoints * t.plane(s.channels)));
  job.d = arena.floats(static_cast<std::size_t>(kPoints * t.plane(s.outputs)));
  job.du = arena.floats(static_cast<std::size_t>(kPoints * s.channels * lanes));
  job.sums = arena.floats(static_cast<std::size_t>(9 * s.channels * lanes));
  job.slope = arena.floats(static_cast<std::size_t>(lanes));
  const std::int64_t rows = pool.threads() > 8 ? 16 : s.channels;  // sixteen points are shares enough for a few threads
  for (std::int64_t first = 0; first < t.units; first += t.group) {
    const std::int64_t last = std::min(t.units, first + t.group);
    const auto transform = [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(winograd_slopes)(job, first, first + begin, first + end); };
    pool.parallel_for(last - first, 1, std::ref(transform));
    const auto add = [&](std::int64_t begin, std::int64_t end) {
      HWY_DYNAMIC_DISPATCH(winograd_weight_sums)(job, t.first_tile(last) - t.first_tile(first), first == 0, rows, begin, end);
    };
    pool.parallel_for(kPoints * ((s.channels + rows - 1) / rows), 1, std::ref(add));
  }
  const auto finish = [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(winograd_weights)(job, dw, begin, end); };
  pool.parallel_for(s.channels, std::max<std::int64_t>(1, 4096 / s.outputs), std::ref(finish));
  for (std::int64_t o = 0; dbias && o < s.outputs; ++o) dbias[o] += job.slope[o];
  arena.release(mark);
}

}  // namespace starling::core
#endif

#include "core/ops/winograd.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <type_traits>

#include "core/ops/winograd_job.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/winograd.cpp"
#include <hwy/foreach_target.h>

#include "core/ops/tile.h"
#include "core/ops/winograd_tiles.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

/// G g G^T for steps [begin, end) of the depth. A kernel turned by half a turn is one read backwards.
void winograd_kernels(const WinogradKernelsJob& job, std::int64_t begin, std::int64_t end) {
  const DF d;
  const VF half = hn::Set(d, 0.5f);
  const std::int64_t lanes = lanes_of(job.lanes), columns = static_cast<std::int64_t>(kTileColumns);
  thread_local Arena arena;
  const Arena::Mark mark = arena.mark();
  float* taps = arena.floats(static_cast<std::size_t>(9 * lanes));
  const auto points = [&](VF g0, VF g1, VF g2, VF(&out)[4]) {
    const VF outer = hn::Add(g0, g2);
    out[0] = g0;
    out[1] = hn::Mul(half, hn::Add(outer, g1));
    out[2] = hn::Mul(half, hn::Sub(outer, g1));
    out[3] = g2;
  };
  for (std::int64_t step = begin; step < end; ++step) {
    transpose_to_lanes(job.w + step * job.depth_stride, static_cast<std::size_t>(job.lanes), 9, static_cast<std::size_t>(job.lane_stride), taps,
                       static_cast<std::size_t>(lanes));
    for (std::int64_t lane = 0; lane < lanes; lane += static_cast<std::int64_t>(kLanes)) {
      const auto tap = [&](std::int64_t i) { return hn::LoadU(d, taps + (job.turned ? 8 - i : i) * lanes + lane); };
      const std::int64_t panel = lane / columns * columns, width = std::min(columns, lanes - panel);
      float* to = job.u + panel * job.depth + step * width + lane - panel;
      VF column[3][4], point[4];
      for (std::int64_t j = 0; j < 3; ++j) points(tap(j), tap(3 + j), tap(6 + j), column[j]);
      for (std::int64_t i = 0; i < 4; ++i) {
        points(column[0][i], column[1][i], column[2][i], point);
        for (std::int64_t j = 0; j < 4; ++j) hn::StoreU(point[j], d, to + (4 * i + j) * job.depth * lanes);
      }
    }
  }
  arena.release(mark);
}

/// m[p] = v[p] u[p]: rows of `tiles`, outputs in the lanes.
void winograd_products(const float* v, std::int64_t v_plane, const float* u, std::int64_t tiles, std::int64_t depth, std::int64_t lanes, float* m,
                       std::int64_t m_plane) {
  const std::int64_t steps = lanes_of(depth);
  for (std::int64_t point = 0; point < kPoints; ++point)
    for (std::int64_t panel = 0; panel < lanes; panel += static_cast<std::int64_t>(kTileColumns)) {
      const std::int64_t width = std::min(static_cast<std::int64_t>(kTileColumns), lanes - panel);
      const std::size_t vectors = static_cast<std::size_t>(width) <= kLanes ? 1 : kTileVectors;
      const float* b = u + (point * lanes + panel) * depth;
      for (std::int64_t tile = 0; tile < tiles;) {
        const std::size_t count = tile_rows(static_cast<std::size_t>(tiles - tile));
        const float* a[kTileRows];
        for (std::size_t r = 0; r < count; ++r) a[r] = v + point * v_plane + (tile + static_cast<std::int64_t>(r)) * steps;
        run_tile(count, vectors, a, Strided{1}, b, Strided{static_cast<std::size_t>(width)}, static_cast<std::size_t>(depth), Start::zero, nullptr,
                 m + point * m_plane + tile * lanes + panel, static_cast<std::size_t>(lanes));
        tile += static_cast<std::int64_t>(count);
      }
    }
}

/// From the transformed outputs of a strip to y.
void winograd_outputs(const WinogradJob& job, std::int64_t unit, const float* m, float* image) {
  const ConvShape& s = job.shape;
  const Tiling& t = job.tiling;
  const std::int64_t lanes = lanes_of(s.outputs), row = t.first_row(unit), rows = t.rows_of(unit);
  transform_output(m, t.plane(s.outputs), rows, t.across, lanes, job.bias, image);
  const std::int64_t height = std::min(2 * rows, s.out_height() - 2 * row), width = s.out_width();
  float* y = job.y + unit / t.strips * s.outputs * s.positions() + 2 * row * width;
  const bool whole = width == t.out_width();  // the rows follow each other without gaps
  const std::int64_t steps = whole ? 1 : height, places = whole ? height * width : width;
  for (std::int64_t r = 0; r < steps; ++r) {
    const auto put = [&](auto add) {
      transpose<decltype(add)::value>(image + r * t.out_width() * lanes, static_cast<std::size_t>(places), static_cast<std::size_t>(s.outputs),
                                      static_cast<std::size_t>(lanes), y + r * width, static_cast<std::size_t>(s.positions()));
    };
    job.accumulate ? put(std::true_type()) : put(std::false_type());
  }
}

void winograd_blocks(const WinogradJob& job, std::int64_t begin, std::int64_t end) {
  const ConvShape& s = job.shape;
  const Tiling& t = job.tiling;
  const std::int64_t in_lanes = lanes_of(s.channels), out_lanes = lanes_of(s.outputs);
  thread_local Arena arena;
  const Arena::Mark mark = arena.mark();
  float* image = arena.floats(static_cast<std::size_t>(t.strip_floats(s)));
  float* v = arena.floats(static_cast<std::size_t>(kPoints * t.plane(s.channels)));
  float* m = arena.floats(static_cast<std::size_t>(kPoints * t.plane(s.outputs)));
  for (std::int64_t block = begin; block < end; ++block) {
    const std::int64_t first = block * t.group, last = std::min(t.units, first + t.group), tile = t.first_tile(first);
    for (std::int64_t unit = first; unit < last; ++unit) {
      gather_lanes(job.x + unit / t.strips * s.channels * s.height * s.width, s.channels, s.height, s.width, 2 * t.first_row(unit) - s.pad, -s.pad,
                   2 * t.rows_of(unit) + 2, t.in_width(), image);
      transform_input(image, t.rows_of(unit), t.across, in_lanes, v + (t.first_tile(unit) - tile) * in_lanes, t.plane(s.channels));
    }
    winograd_products(v, t.plane(s.channels), job.u, t.first_tile(last) - tile, s.channels, out_lanes, m, t.plane(s.outputs));
    for (std::int64_t unit = first; unit < last; ++unit) winograd_outputs(job, unit, m + (t.first_tile(unit) - tile) * out_lanes, image);
  }
  arena.release(mark);
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(winograd_kernels);
HWY_EXPORT(winograd_blocks);

bool winograd_suits(const ConvShape& s) {
  if (s.kernel_height != 3 || s.kernel_width != 3 || s.stride != 1 || s.pad > 2) return false;
  // Below this the transforms, and the tiles' places beyond the image, cost what the products save.
  constexpr std::int64_t kChannelsMin = 16;
  const std::int64_t tiles = ((s.out_height() + 1) / 2) * ((s.out_width() + 1) / 2);
  return s.channels >= kChannelsMin && s.outputs >= kChannelsMin && 16 * tiles * 7 <= 9 * s.positions() * 5;
}

void winograd_forward(const ConvShape& s, const float* x, const float* w, bool turned, const float* bias, float* y, bool accumulate, Arena& arena,
                      Pool& pool) {
  const Arena::Mark mark = arena.mark();
  const auto lanes = static_cast<std::size_t>(lanes_of(s.outputs));
  float* u = arena.floats(static_cast<std::size_t>(kPoints * s.channels) * lanes);
  const WinogradKernelsJob kernels{w, s.outputs, s.channels, turned ? 9 : 9 * s.channels, turned ? 9 * s.outputs : 9, turned, u};
  const auto transform = [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(winograd_kernels)(kernels, begin, end); };
  pool.parallel_for(s.channels, std::max<std::int64_t>(1, 4096 / s.outputs), std::ref(transform));
  float* shift = arena.floats(lanes);
  std::fill(shift, shift + lanes, 0.0f);
  if (bias) std::copy(bias, bias + s.outputs, shift);

  constexpr std::int64_t kFloats = 16384, kTilesMin = 64;  // per point: what the second cache holds; tiles that share a read of u
  WinogradJob job{s, tiling(s, std::max(kTilesMin, kFloats / (s.channels + s.outputs))), x, u, shift, y, accumulate};
  if (pool.threads() > 1) job.tiling.group = std::clamp<std::int64_t>(job.tiling.units / (2 * pool.threads()), 1, job.tiling.group);
  const auto body = [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(winograd_blocks)(job, begin, end); };
  pool.parallel_for(job.tiling.blocks(), 1, std::ref(body));
  arena.release(mark);
}

}  // namespace starling::core
#endif

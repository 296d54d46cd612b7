// Blocks of rows are packed, a's columns kPanelRows at a time and b's as panels, so that the inner loop reads both side
// by side.
#include "core/ops/outer.h"

#include <functional>
#include <vector>

#include "core/error.h"
#include "core/ops/outer_job.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/outer.cpp"
#include <hwy/foreach_target.h>

#include "core/ops/panels.h"
#include "core/ops/vectors.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

constexpr std::int64_t kOuterDepth = 128;    // rows of a block: a panel of 16 KiB
constexpr std::int64_t kOuterColumns = 512;  // of a, packed at a time: 256 KiB

/// `width` columns of `depth` rows that lie `stride` apart, kWide floats for each row, the rest of them zeros.
template <std::int64_t kWide>
HWY_INLINE void pack_columns(const float* from, std::int64_t stride, std::int64_t depth, std::int64_t width, float* packed) {
  for (std::int64_t k = 0; k < depth && width == kWide; ++k) std::memcpy(packed + k * kWide, from + k * stride, kWide * sizeof(float));
  for (std::int64_t k = 0; k < depth && width < kWide; ++k) {
    std::fill(packed + k * kWide + width, packed + (k + 1) * kWide, 0.0f);
    std::copy_n(from + k * stride, width, packed + k * kWide);
  }
}

constexpr auto kHigh = static_cast<std::int64_t>(kPanelRows);
/// Tiles lie a cache line more than a multiple of 4 KiB apart, so that a row's parts do not evict each other.
constexpr std::int64_t kTile = kOuterDepth * kHigh + 16;

/// Columns [0, width) of `depth` rows as tiles of kHigh columns, read row by row; each row is added to `sum` unless null.
HWY_INLINE void pack_tiles(const float* a, std::int64_t stride, std::int64_t depth, std::int64_t width, float* tiles, float* sum) {
  const std::int64_t whole = width / kHigh * kHigh;
  for (std::int64_t k = 0; k < depth; ++k, a += stride) {
    float* to = tiles + k * kHigh;
    for (std::int64_t j = 0; j < whole; j += kHigh, to += kTile) std::memcpy(to, a + j, kHigh * sizeof(float));
    if (whole < width) pack_columns<kHigh>(a + whole, stride, 1, width - whole, to);
    if (sum)
      each_vector(static_cast<std::size_t>(width), [&](std::size_t i, auto n) { store_some(hn::Add(load_some(sum + i, n), load_some(a + i, n)), sum + i, n); });
  }
}

/// The part of rows [first, first + depth) of a in one sum, for rows [begin, end) of c. tiles: a's packed columns.
void outer_block(const OuterSum& sum, std::int64_t first, std::int64_t depth, std::int64_t begin, std::int64_t end, const float* tiles, float* panel) {
  constexpr auto kWide = static_cast<std::int64_t>(kPanelColumns);
  const std::int64_t skipped = std::min(depth, std::max<std::int64_t>(0, sum.late - first));  // rows that meet zeros
  const std::int64_t rest = depth - skipped;
  for (std::int64_t column = 0; column < sum.columns && rest > 0; column += kWide) {
    const std::int64_t width = std::min(kWide, sum.columns - column);
    pack_columns<kWide>(sum.b + (first + skipped - sum.late) * sum.columns + column, sum.columns, rest, width, panel);
    for (std::int64_t row = begin; row < end; row += kHigh) {
      float* c = sum.c + row * sum.columns + column;
      const auto stride = static_cast<std::size_t>(sum.columns);
      panel_tile(static_cast<std::size_t>(std::min(kHigh, end - row)), Together{tiles + (row - begin) / kHigh * kTile + skipped * kHigh}, panel,
                 static_cast<std::size_t>(rest), Begin{c, stride}, static_cast<std::size_t>(width), c, stride);
    }
  }
}

/// Rows [begin, end) of every c, that is these columns of a.
void outer_rows(const OuterJob& job, std::int64_t begin, std::int64_t end) {
  thread_local std::vector<float> panel, tiles;
  panel.resize(static_cast<std::size_t>(kOuterDepth) * kPanelColumns);
  tiles.resize(static_cast<std::size_t>((kOuterColumns / kHigh + 1) * kTile));
  for (std::int64_t first = 0; first < job.rows; first += kOuterDepth)
    for (std::int64_t from = begin; from < end; from += kOuterColumns) {
      const std::int64_t depth = std::min(kOuterDepth, job.rows - first), to = std::min(end, from + kOuterColumns);
      pack_tiles(job.a + first * job.columns + from, job.columns, depth, to - from, tiles.data(), job.a_sum ? job.a_sum + from : nullptr);
      for (const OuterSum& sum : job.sums) outer_block(sum, first, depth, from, to, tiles.data(), panel.data());
    }
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(outer_rows);

void add_outer_sums(const float* a, std::int64_t rows, std::int64_t columns, std::span<const OuterSum> sums, std::span<float> a_sum, Pool& pool) {
  ensure(a_sum.empty() || static_cast<std::int64_t>(a_sum.size()) == columns, "a sum of rows of another width");
  const OuterJob job{a, rows, columns, sums, a_sum.empty() ? nullptr : a_sum.data()};
  // Each share of a's columns packs all of b again: few large ones, whole tiles on every target.
  constexpr std::int64_t kTiles = 24;
  const std::int64_t tiles = (columns + kTiles - 1) / kTiles, shares = std::min<std::int64_t>(pool.threads(), tiles);
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t share = begin; share < end; ++share)
      HWY_DYNAMIC_DISPATCH(outer_rows)(job, tiles * share / shares * kTiles, std::min(columns, tiles * (share + 1) / shares * kTiles));
  };
  pool.parallel_for(shares, 1, std::ref(body));
}

}  // namespace starling::core
#endif

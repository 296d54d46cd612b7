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

/// sum += columns [0, width) of the rows of a, one after the other.
HWY_INLINE void add_rows_to(const float* a, std::int64_t stride, std::int64_t depth, std::int64_t width, float* HWY_RESTRICT sum) {
  std::int64_t j = 0;
  for (; j + static_cast<std::int64_t>(kVirtual) <= width; j += static_cast<std::int64_t>(kVirtual)) {
    V16 total = load16(sum + j);
    for (std::int64_t k = 0; k < depth; ++k) {
      const V16 row = load16(a + k * stride + j);
      for (std::size_t i = 0; i < kVectors; ++i) total.part[i] = hn::Add(total.part[i], row.part[i]);
    }
    store16(total, sum + j);
  }
  for (; j < width; ++j)
    for (std::int64_t k = 0; k < depth; ++k) sum[j] += a[k * stride + j];
}

/// The part of rows [first, first + depth) of a in one sum, for rows [begin, end) of c. tiles: a's packed columns.
void outer_block(const OuterSum& sum, std::int64_t first, std::int64_t depth, std::int64_t begin, std::int64_t end, const float* tiles, float* panel) {
  constexpr auto kHigh = static_cast<std::int64_t>(kPanelRows), kWide = static_cast<std::int64_t>(kPanelColumns);
  const std::int64_t skipped = std::min(depth, std::max<std::int64_t>(0, sum.late - first));  // rows that meet zeros
  const std::int64_t rest = depth - skipped;
  for (std::int64_t column = 0; column < sum.columns && rest > 0; column += kWide) {
    const std::int64_t width = std::min(kWide, sum.columns - column);
    pack_columns<kWide>(sum.b + (first + skipped - sum.late) * sum.columns + column, sum.columns, rest, width, panel);
    for (std::int64_t row = begin; row < end; row += kHigh) {
      float* c = sum.c + row * sum.columns + column;
      const auto stride = static_cast<std::size_t>(sum.columns);
      panel_tile(static_cast<std::size_t>(std::min(kHigh, end - row)), Together{tiles + (row - begin) * depth + skipped * kHigh}, panel,
                 static_cast<std::size_t>(rest), Begin{c, stride}, static_cast<std::size_t>(width), c, stride);
    }
  }
}

/// Rows [begin, end) of every c, that is these columns of a.
void outer_rows(const OuterJob& job, std::int64_t begin, std::int64_t end) {
  constexpr auto kHigh = static_cast<std::int64_t>(kPanelRows);
  thread_local std::vector<float> panel, tiles;
  panel.resize(static_cast<std::size_t>(kOuterDepth) * kPanelColumns);
  tiles.resize(static_cast<std::size_t>(kOuterDepth) * (static_cast<std::size_t>(kOuterColumns) + kPanelRows));
  for (std::int64_t first = 0; first < job.rows; first += kOuterDepth)
    for (std::int64_t from = begin; from < end; from += kOuterColumns) {
      const std::int64_t depth = std::min(kOuterDepth, job.rows - first), to = std::min(end, from + kOuterColumns);
      const float* a = job.a + first * job.columns;
      for (std::int64_t row = from; row < to && !job.sums.empty(); row += kHigh)
        pack_columns<kHigh>(a + row, job.columns, depth, std::min(kHigh, to - row), tiles.data() + (row - from) * depth);
      if (job.a_sum) add_rows_to(a + from, job.columns, depth, to - from, job.a_sum + from);
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

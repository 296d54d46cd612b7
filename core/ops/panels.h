// Products with a factor that is packed once and used many times: the weights of a recurrent layer at every step. Every
// sum is one chain of fused multiply-adds over the summed dimension in ascending order, as in tile.h.
//
// Included once per target by files that dispatch with Highway (foreach_target.h).
#if defined(STARLING_CORE_OPS_PANELS_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STARLING_CORE_OPS_PANELS_H_
#undef STARLING_CORE_OPS_PANELS_H_
#else
#define STARLING_CORE_OPS_PANELS_H_
#endif

#include <algorithm>
#include <type_traits>

#include "core/ops/gemm.h"
#include "core/ops/simd.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX2
constexpr std::size_t kPanelRows = 6;  // 12 sums, two vectors and a broadcast in 16 registers
#else
constexpr std::size_t kPanelRows = 8;
#endif
constexpr std::size_t kPanelColumns = 2 * kLanes;

/// Columns [first, first + kPanelColumns) of b side by side, row after row, zeros for those beyond its last.
HWY_INLINE void pack_panel(const MatrixView& b, std::int64_t first, float* panel) {
  const std::int64_t width = std::min(static_cast<std::int64_t>(kPanelColumns), b.columns - first);
  const float* in = b.data + first * b.column_stride;
  constexpr auto kStride = static_cast<std::int64_t>(kPanelColumns);
  if (width < kStride) std::fill(panel, panel + b.rows * kStride, 0.0f);
  if (b.column_stride == 1) {
    for (std::int64_t k = 0; k < b.rows; ++k) std::copy_n(in + k * b.row_stride, width, panel + k * kStride);
    return;
  }
  for (std::int64_t j = 0; j < width; ++j)
    for (std::int64_t k = 0; k < b.rows; ++k) panel[k * kStride + j] = in[k * b.row_stride + j * b.column_stride];
}

/// Step k of row r of the other factor: either rows that lie `stride` apart, or kPanelRows of them side by side.
struct Apart {
  const float* data;
  std::size_t stride;
  HWY_INLINE float at(std::size_t r, std::size_t k) const { return data[r * stride + k]; }
};
struct Together {
  const float* data;
  HWY_INLINE float at(std::size_t r, std::size_t k) const { return data[k * kPanelRows + r]; }
};

/// Where sums begin: row r of a tile at data + r * stride.
struct Begin {
  const float* data;
  std::size_t stride;
};

/// kR rows of c: begin plus the sums over k < depth of a.at(r, k) * panel[k][lane], for the first kV vectors of a panel.
template <std::size_t kR, std::size_t kV, class Rows>
HWY_NOINLINE void panel_rows(Rows a, const float* panel, std::size_t depth, Begin begin, float* c, std::size_t c_stride) {
  const DF d;
  VF sum[kR][kV];
  for (std::size_t r = 0; r < kR; ++r)
    for (std::size_t v = 0; v < kV; ++v) sum[r][v] = hn::LoadU(d, begin.data + r * begin.stride + v * kLanes);
  for (std::size_t k = 0; k < depth; ++k, panel += kPanelColumns) {
    VF lanes[kV];
    for (std::size_t v = 0; v < kV; ++v) lanes[v] = hn::LoadU(d, panel + v * kLanes);
    for (std::size_t r = 0; r < kR; ++r) {
      const VF x = hn::Set(d, a.at(r, k));
      for (std::size_t v = 0; v < kV; ++v) sum[r][v] = hn::MulAdd(x, lanes[v], sum[r][v]);
    }
  }
  for (std::size_t r = 0; r < kR; ++r)
    for (std::size_t v = 0; v < kV; ++v) hn::StoreU(sum[r][v], d, c + r * c_stride + v * kLanes);
}

/// panel_rows for 1 to kPanelRows rows.
template <std::size_t kV, class Rows, std::size_t kR = kPanelRows>
HWY_INLINE void panel_some(std::size_t rows, const Rows& a, const float* panel, std::size_t depth, const Begin& begin, float* c, std::size_t c_stride) {
  if constexpr (kR > 1)
    if (rows < kR) return panel_some<kV, Rows, kR - 1>(rows, a, panel, depth, begin, c, c_stride);
  panel_rows<kR, kV>(a, panel, depth, begin, c, c_stride);
}

/// The same for a panel of which only `width` columns are c's.
template <class Rows>
HWY_INLINE void panel_tile(std::size_t rows, const Rows& a, const float* panel, std::size_t depth, const Begin& begin, std::size_t width, float* c,
                           std::size_t c_stride) {
  if (width == kPanelColumns) return panel_some<2>(rows, a, panel, depth, begin, c, c_stride);
  float edge[kPanelRows * kPanelColumns] = {};
  for (std::size_t r = 0; r < rows; ++r) std::copy_n(begin.data + r * begin.stride, width, edge + r * kPanelColumns);
  if (width <= kLanes)
    panel_some<1>(rows, a, panel, depth, Begin{edge, kPanelColumns}, edge, kPanelColumns);
  else
    panel_some<2>(rows, a, panel, depth, Begin{edge, kPanelColumns}, edge, kPanelColumns);
  for (std::size_t r = 0; r < rows; ++r) std::copy_n(edge + r * kPanelColumns, width, c + r * c_stride);
}

/// From what the sums of a whole product begin: zeros, the same row for all, or what stands in c.
enum class From { zero, bias, c };

/// Rows a of `depth` values times all panels of a packed factor of `columns` columns.
HWY_INLINE void panel_product(const Apart& a, std::int64_t rows, std::int64_t depth, const float* packed, std::int64_t columns, From from, const float* bias,
                              float* c, std::int64_t c_stride) {
  constexpr auto kMost = static_cast<std::int64_t>(kPanelRows), kWide = static_cast<std::int64_t>(kPanelColumns);
  const float zeros[kPanelColumns] = {};
  const std::int64_t tiles = (rows + kMost - 1) / kMost;
  for (std::int64_t first = 0; first < columns; first += kWide, packed += depth * kWide)
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      const std::int64_t begin = rows * tile / tiles, end = rows * (tile + 1) / tiles;
      float* to = c + begin * c_stride + first;
      const Begin sums = from == From::c      ? Begin{to, static_cast<std::size_t>(c_stride)}
                         : from == From::bias ? Begin{bias + first, 0}
                                              : Begin{zeros, 0};
      panel_tile(static_cast<std::size_t>(end - begin), Apart{a.data + static_cast<std::size_t>(begin) * a.stride, a.stride}, packed,
                 static_cast<std::size_t>(depth), sums, static_cast<std::size_t>(std::min(kWide, columns - first)), to, static_cast<std::size_t>(c_stride));
    }
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

// The inner loop of all F32 products of training: a tile of sums with the outputs in the vector lanes. Every sum is
// one chain of fused multiply-adds over the summed dimension in ascending order, begun from zero, a bias or what
// stands in c, so that its bits do not depend on tile, vector length, neighbours or threads.
//
// Included once per target by files that dispatch with Highway (foreach_target.h).
#if defined(STARLING_CORE_OPS_TILE_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STARLING_CORE_OPS_TILE_H_
#undef STARLING_CORE_OPS_TILE_H_
#else
#define STARLING_CORE_OPS_TILE_H_
#endif

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "core/ops/simd.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX2
constexpr std::size_t kTileRows = 6;  // 12 sums, two vectors and a broadcast in 16 registers
#else
constexpr std::size_t kTileRows = 8;
#endif
constexpr std::size_t kTileVectors = 2;
constexpr std::size_t kTileColumns = kTileVectors * kLanes;

/// Where an operand lies at step k of the sum: at a fixed distance ...
struct Strided {
  std::size_t stride;
  HWY_INLINE std::size_t at(std::size_t k) const { return k * stride; }
};

/// ... or wherever a table says, as for the taps of a convolution.
struct Table {
  const std::int32_t* offsets;
  HWY_INLINE std::size_t at(std::size_t k) const { return static_cast<std::size_t>(offsets[k]); }
};

enum class Start { zero, bias, sum };

/// c[r][lanes] of `kR` rows and `kV` vectors: the sum over k < depth of
/// a[r][row_steps.at(k)] * b[lane_steps.at(k) + lane].
template <std::size_t kR, std::size_t kV, class RowSteps, class LaneSteps>
HWY_NOINLINE void tile_sum(const float* const* a, RowSteps row_steps, const float* b, LaneSteps lane_steps,
                           std::size_t depth, Start start, const float* bias, float* HWY_RESTRICT c, std::size_t c_stride) {
  const DF d;
  VF sum[kR][kV];
  const float* row[kR];
  for (std::size_t r = 0; r < kR; ++r) {
    row[r] = a[r];
    for (std::size_t v = 0; v < kV; ++v)
      sum[r][v] = start == Start::zero   ? hn::Zero(d)
                  : start == Start::bias ? hn::Set(d, bias[r])
                                         : hn::LoadU(d, c + r * c_stride + v * kLanes);
  }
  for (std::size_t k = 0; k < depth; ++k) {
    const float* p = b + lane_steps.at(k);
    const std::size_t at = row_steps.at(k);
    VF lanes[kV];
    for (std::size_t v = 0; v < kV; ++v) lanes[v] = hn::LoadU(d, p + v * kLanes);
    for (std::size_t r = 0; r < kR; ++r) {
      const VF x = hn::Set(d, row[r][at]);
      for (std::size_t v = 0; v < kV; ++v) sum[r][v] = hn::MulAdd(x, lanes[v], sum[r][v]);
    }
  }
  for (std::size_t r = 0; r < kR; ++r)
    for (std::size_t v = 0; v < kV; ++v) hn::StoreU(sum[r][v], d, c + r * c_stride + v * kLanes);
}

/// Rows of a tile that are computed together when `rows` are left.
HWY_INLINE std::size_t tile_rows(std::size_t rows) {
  if (rows >= kTileRows) return kTileRows;
  return rows >= 4 ? 4 : rows >= 2 ? 2 : 1;
}

/// tile_sum for a number of rows that tile_rows() gave and one or two vectors.
template <class RowSteps, class LaneSteps>
HWY_INLINE void run_tile(std::size_t rows, std::size_t vectors, const float* const* a, RowSteps row_steps, const float* b,
                         LaneSteps lane_steps, std::size_t depth, Start start, const float* bias, float* c,
                         std::size_t c_stride) {
  const auto with_rows = [&](auto count) {
    constexpr std::size_t kV = decltype(count)::value;
    switch (rows) {
      case 1: return tile_sum<1, kV>(a, row_steps, b, lane_steps, depth, start, bias, c, c_stride);
      case 2: return tile_sum<2, kV>(a, row_steps, b, lane_steps, depth, start, bias, c, c_stride);
      case 4: return tile_sum<4, kV>(a, row_steps, b, lane_steps, depth, start, bias, c, c_stride);
      default: return tile_sum<kTileRows, kV>(a, row_steps, b, lane_steps, depth, start, bias, c, c_stride);
    }
  };
  if (vectors == 1)
    with_rows(std::integral_constant<std::size_t, 1>());
  else
    with_rows(std::integral_constant<std::size_t, kTileVectors>());
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

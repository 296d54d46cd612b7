// Transposing F32 matrices, a vector of rows and four columns at once: images have a channel's values side by side, the
// kernels of convolution want the channels of one place side by side.
//
// Included once per target by files that dispatch with Highway (foreach_target.h).
#if defined(STARLING_CORE_OPS_TRANSPOSE_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STARLING_CORE_OPS_TRANSPOSE_H_
#undef STARLING_CORE_OPS_TRANSPOSE_H_
#else
#define STARLING_CORE_OPS_TRANSPOSE_H_
#endif

#include "core/ops/simd.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

#if HWY_TARGET != HWY_SCALAR
/// Four values each from rows that are four apart: rows 0, 4, 8 and 12 for vectors of sixteen.
template <class D>
HWY_INLINE hn::Vec<D> load_fours(D d, const float* p, std::size_t stride) {
  if constexpr (hn::MaxLanes(D()) > 4) {
    const hn::Half<D> half;
    return hn::Combine(d, load_fours(half, p + hn::MaxLanes(half) * stride, stride), load_fours(half, p, stride));
  } else {
    return hn::LoadU(d, p);
  }
}

/// As many rows as `D` has lanes, and four columns.
template <bool kAdd, class D>
HWY_INLINE void transpose_block(D d, const float* in, std::size_t in_stride, float* out, std::size_t out_stride) {
  const hn::Repartition<double, D> d64;
  using V = hn::Vec<D>;
  const V r0 = load_fours(d, in, in_stride), r1 = load_fours(d, in + in_stride, in_stride);
  const V r2 = load_fours(d, in + 2 * in_stride, in_stride), r3 = load_fours(d, in + 3 * in_stride, in_stride);
  const auto low01 = hn::BitCast(d64, hn::InterleaveLower(d, r0, r1)), high01 = hn::BitCast(d64, hn::InterleaveUpper(d, r0, r1));
  const auto low23 = hn::BitCast(d64, hn::InterleaveLower(d, r2, r3)), high23 = hn::BitCast(d64, hn::InterleaveUpper(d, r2, r3));
  const auto put = [&](auto column, std::size_t c) {
    float* to = out + c * out_stride;
    const V v = hn::BitCast(d, column);
    hn::StoreU(kAdd ? hn::Add(hn::LoadU(d, to), v) : v, d, to);
  };
  put(hn::InterleaveLower(d64, low01, low23), 0);
  put(hn::InterleaveUpper(d64, low01, low23), 1);
  put(hn::InterleaveLower(d64, high01, high23), 2);
  put(hn::InterleaveUpper(d64, high01, high23), 3);
}

/// Rows from `row` in whole vectors, then in shorter ones; returns the first row that fits none.
template <bool kAdd, class D>
HWY_INLINE std::size_t transpose_rows(D d, std::size_t row, const float* in, std::size_t rows, std::size_t columns, std::size_t in_stride, float* out,
                                      std::size_t out_stride) {
  for (; row + hn::MaxLanes(d) <= rows; row += hn::MaxLanes(d))
    for (std::size_t c = 0; c < columns; c += 4) transpose_block<kAdd>(d, in + row * in_stride + c, in_stride, out + c * out_stride + row, out_stride);
  if constexpr (hn::MaxLanes(D()) > 4) row = transpose_rows<kAdd>(hn::Half<D>(), row, in, rows, columns, in_stride, out, out_stride);
  return row;
}
#endif

/// out[c * out_stride + r] = in[r * in_stride + c], or += with kAdd.
template <bool kAdd = false>
void transpose(const float* in, std::size_t rows, std::size_t columns, std::size_t in_stride, float* out, std::size_t out_stride) {
  std::size_t whole_columns = 0, whole_rows = 0;
#if HWY_TARGET != HWY_SCALAR
  whole_columns = columns / 4 * 4;
  whole_rows = transpose_rows<kAdd>(DF(), 0, in, rows, whole_columns, in_stride, out, out_stride);
#endif
  const auto one = [&](std::size_t r, std::size_t c) {
    float& to = out[c * out_stride + r];
    to = kAdd ? to + in[r * in_stride + c] : in[r * in_stride + c];
  };
  for (std::size_t c = whole_columns; c < columns; ++c)
    for (std::size_t r = 0; r < whole_rows; ++r) one(r, c);
  for (std::size_t c = 0; c < columns; ++c)
    for (std::size_t r = whole_rows; r < rows; ++r) one(r, c);
}

/// transpose() whose rows of the result are `lanes` long, with zeros beyond `rows`.
inline void transpose_to_lanes(const float* in, std::size_t rows, std::size_t columns, std::size_t in_stride, float* out, std::size_t lanes) {
  transpose(in, rows, columns, in_stride, out, lanes);
  if (rows < lanes)
    for (std::size_t c = 0; c < columns; ++c) std::memset(out + c * lanes + rows, 0, (lanes - rows) * sizeof(float));
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

// Transposing F32 matrices in blocks of four by four: images have a channel's values side by side, the kernels of
// convolution want the channels of one place side by side.
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

template <bool kAdd>
HWY_INLINE void transpose_block(const float* in, std::size_t in_stride, float* out, std::size_t out_stride) {
#if HWY_TARGET == HWY_SCALAR
  for (std::size_t r = 0; r < 4; ++r)
    for (std::size_t c = 0; c < 4; ++c) {
      const float v = in[r * in_stride + c];
      out[c * out_stride + r] = kAdd ? out[c * out_stride + r] + v : v;
    }
#else
  const hn::FixedTag<float, 4> d;
  const hn::Repartition<double, decltype(d)> d64;
  using V = hn::Vec<decltype(d)>;
  const V r0 = hn::LoadU(d, in), r1 = hn::LoadU(d, in + in_stride), r2 = hn::LoadU(d, in + 2 * in_stride), r3 = hn::LoadU(d, in + 3 * in_stride);
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
#endif
}

/// out[c * out_stride + r] = in[r * in_stride + c], or += with kAdd.
template <bool kAdd = false>
void transpose(const float* in, std::size_t rows, std::size_t columns, std::size_t in_stride, float* out, std::size_t out_stride) {
  const std::size_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
  // The side whose rows lie far apart is walked along them: four cache lines at a time, each used up.
  if (in_stride >= out_stride) {
    for (std::size_t r = 0; r < whole_rows; r += 4)
      for (std::size_t c = 0; c < whole_columns; c += 4) transpose_block<kAdd>(in + r * in_stride + c, in_stride, out + c * out_stride + r, out_stride);
  } else {
    for (std::size_t c = 0; c < whole_columns; c += 4)
      for (std::size_t r = 0; r < whole_rows; r += 4) transpose_block<kAdd>(in + r * in_stride + c, in_stride, out + c * out_stride + r, out_stride);
  }
  const auto one = [&](std::size_t r, std::size_t c) {
    float& to = out[c * out_stride + r];
    to = kAdd ? to + in[r * in_stride + c] : in[r * in_stride + c];
  };
  for (std::size_t r = 0; r < whole_rows; ++r)
    for (std::size_t c = whole_columns; c < columns; ++c) one(r, c);
  for (std::size_t r = whole_rows; r < rows; ++r)
    for (std::size_t c = 0; c < columns; ++c) one(r, c);
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

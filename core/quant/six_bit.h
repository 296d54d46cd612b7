// What the encoders of Q4_K and Q5_K share: eight sub-blocks of 32 with six-bit scales and minima.
#pragma once

#include "core/quant/fit.h"
#include "core/quant/sub_blocks.h"

namespace starling::core {

constexpr std::size_t kSixBitLanes = 8;
using SixBitValues = LaneValues<kSubBlock, kSixBitLanes>;

inline void store_six_bit_pair(unsigned scale, unsigned minimum, std::size_t j, std::byte* out) {
  if (j < 4) {
    out[j] |= static_cast<std::byte>(scale);
    out[j + 4] |= static_cast<std::byte>(minimum);
  } else {
    out[j + 4] |= static_cast<std::byte>((scale & 15) | (minimum & 15) << 4);
    out[j - 4] |= static_cast<std::byte>(scale >> 4 << 6);
    out[j] |= static_cast<std::byte>(minimum >> 4 << 6);
  }
}

/// Fits 256 values, writes d, dmin and the packed scales to the 16 bytes at `out` and the codes to `codes`.
inline void encode_six_bit(const float* values, const MinimumFit& rule, std::string_view type, std::byte* out,
                           unsigned (&codes)[kSixBitLanes][kSubBlock]) {
  SixBitValues x, weights;
  to_lanes<kSubBlock, kSixBitLanes>(values, x);
  float squares[kSixBitLanes] = {}, scale[kSixBitLanes], minimum[kSixBitLanes];
  for (const auto& row : x)
    for (std::size_t j = 0; j < kSixBitLanes; ++j) squares[j] += row[j] * row[j];
  for (std::size_t i = 0; i < kSubBlock; ++i)
    for (std::size_t j = 0; j < kSixBitLanes; ++j)
      weights[i][j] = std::sqrt(squares[j] / static_cast<float>(kSubBlock)) + std::abs(x[i][j]);
  fit_minimum<kSubBlock, kSixBitLanes>(x, weights, rule, scale, minimum);
  const float scale_most = *std::max_element(scale, scale + kSixBitLanes);
  const float depth_most = -*std::min_element(minimum, minimum + kSixBitLanes);
  const float to_scale = scale_most > kFlat ? 63.0f / scale_most : 0, to_depth = depth_most > kFlat ? 63.0f / depth_most : 0;
  std::memset(out, 0, 16);
  store_scale(scale_most / 63.0f, out, type);
  store_scale(depth_most / 63.0f, out + 2, type);
  const float d = half_at(out), dmin = half_at(out + 2);
  for (std::size_t j = 0; j < kSixBitLanes; ++j) {
    const unsigned s = code_of(to_scale * scale[j], 0, 63), m = code_of(to_depth * -minimum[j], 0, 63);
    store_six_bit_pair(s, m, j, out + 4);
    const float step = d * static_cast<float>(s), depth = dmin * static_cast<float>(m);
    for (std::size_t i = 0; i < kSubBlock; ++i)
      codes[j][i] = step == 0 ? 0 : code_of((x[i][j] + depth) / step, 0, rule.most);
  }
}

}  // namespace starling::core

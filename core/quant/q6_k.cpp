// Q6_K: 256 values as { u8 low[128]; u8 high[64]; i8 scales[16]; binary16 d } (sub_blocks.h).
#include "core/quant/blocks.h"
#include "core/quant/fit.h"
#include "core/quant/sub_blocks.h"

namespace starling::core {
namespace {

constexpr std::size_t kQ6KLanes = 16, kQ6KLength = 16;
using Lanes = LaneValues<kQ6KLength, kQ6KLanes>;
constexpr float kQ6KLeast = -32, kQ6KMost = 31;  // of a code

void dequantize_q6_k(Bytes stored, std::span<float> values) {
  expand_blocks<Q6KBlock>(stored.data(), values.size(), values.data());
}

/// Of nineteen inverse scales the one with the largest (sum w x q)^2 / (sum w q^2), weights x^2.
void fit_scales_q6_k(const Lanes& x, float (&scale)[kQ6KLanes]) {
  constexpr int kSteps[] = {0, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9};  // the plain one first
  float extreme[kQ6KLanes], best[kQ6KLanes];
  extremes<kQ6KLength, kQ6KLanes>(x, extreme);
  for (std::size_t j = 0; j < kQ6KLanes; ++j) scale[j] = best[j] = 0;
  for (const int step : kSteps) {
    float inverse[kQ6KLanes], sum_xl[kQ6KLanes] = {}, sum_l2[kQ6KLanes] = {};
    for (std::size_t j = 0; j < kQ6KLanes; ++j)
      inverse[j] = std::abs(extreme[j]) < kZero ? 0.0f : (kQ6KLeast - 0.1f * static_cast<float>(step)) / extreme[j];
    for (std::size_t i = 0; i < kQ6KLength; ++i)
      for (std::size_t j = 0; j < kQ6KLanes; ++j) {
        const float code = nearest(inverse[j] * x[i][j], kQ6KLeast, kQ6KMost), weight = x[i][j] * x[i][j];
        sum_xl[j] += weight * x[i][j] * code;
        sum_l2[j] += weight * code * code;
      }
    for (std::size_t j = 0; j < kQ6KLanes; ++j) {
      const bool better = sum_l2[j] > 0 && sum_xl[j] * sum_xl[j] > best[j] * sum_l2[j];
      const float fitted = sum_xl[j] / (sum_l2[j] > 0 ? sum_l2[j] : 1.0f);
      scale[j] = better ? fitted : scale[j];
      best[j] = better ? fitted * sum_xl[j] : best[j];
    }
  }
}

void encode_q6_k(const float* values, std::byte* out) {
  Lanes x;
  to_lanes<kQ6KLength, kQ6KLanes>(values, x);
  float scale[kQ6KLanes], extreme = 0;
  fit_scales_q6_k(x, scale);
  for (const float s : scale)
    if (std::abs(s) > std::abs(extreme)) extreme = s;
  std::memset(out, 0, Q6KBlock::kBytes);
  if (std::abs(extreme) < kZero) return;
  const float inverse = -128.0f / extreme;
  store_scale(1 / inverse, out + 208, "q6_k");
  const float d = half_at(out + 208);
  for (std::size_t j = 0; j < kQ6KLanes; ++j) {
    const float s = nearest(inverse * scale[j], -128, 127);
    out[192 + j] = static_cast<std::byte>(static_cast<std::int8_t>(s));
    const float step = d * s;
    const std::size_t half = j / 8, quarter = j / 2 % 4, first = 16 * (j % 2);
    for (std::size_t i = 0; i < kQ6KLength; ++i) {
      const unsigned code = step == 0 ? 32 : code_of(x[i][j] / step, kQ6KLeast, kQ6KMost) + 32;
      out[64 * half + 32 * (quarter % 2) + first + i] |= static_cast<std::byte>((code & 15) << (4 * (quarter / 2)));
      out[128 + 32 * half + first + i] |= static_cast<std::byte>(code >> 4 << (2 * quarter));
    }
  }
}

void quantize_q6_k(std::span<const float> values, std::span<std::byte> stored) {
  check_finite(values, "q6_k");
  for (std::size_t block = 0; block < values.size() / Q6KBlock::kValues; ++block)
    encode_q6_k(values.data() + block * Q6KBlock::kValues, stored.data() + block * Q6KBlock::kBytes);
}

}  // namespace

BlockFormat q6_k_blocks() { return {Type::q6_k, dequantize_q6_k, quantize_q6_k}; }

}  // namespace starling::core

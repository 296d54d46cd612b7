// Q6_K: 256 values as { u8 low[128]; u8 high[64]; i8 scales[16]; binary16 d } (sub_blocks.h).
#include "core/quant/blocks.h"
#include "core/quant/fit.h"
#include "core/quant/sub_blocks.h"

namespace starling::core {
namespace {

constexpr std::size_t kLanes = 16, kLength = 16;
using Lanes = LaneValues<kLength, kLanes>;
constexpr float kLeast = -32, kMost = 31;  // of a code

void dequantize_q6_k(Bytes stored, std::span<float> values) {
  expand_blocks<Q6KBlock>(stored.data(), values.size(), values.data());
}

/// Of nineteen inverse scales the one with the largest (sum w x q)^2 / (sum w q^2), weights x^2.
void fit_scales(const Lanes& x, float (&scale)[kLanes]) {
  constexpr int kSteps[] = {0, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9};  // the plain one first
  float extreme[kLanes], best[kLanes];
  extremes<kLength, kLanes>(x, extreme);
  for (std::size_t j = 0; j < kLanes; ++j) scale[j] = best[j] = 0;
  for (const int step : kSteps) {
    float inverse[kLanes], sum_xl[kLanes] = {}, sum_l2[kLanes] = {};
    for (std::size_t j = 0; j < kLanes; ++j)
      inverse[j] = std::abs(extreme[j]) < kZero ? 0.0f : (kLeast - 0.1f * static_cast<float>(step)) / extreme[j];
    for (std::size_t i = 0; i < kLength; ++i)
      for (std::size_t j = 0; j < kLanes; ++j) {
        const float code = nearest(inverse[j] * x[i][j], kLeast, kMost), weight = x[i][j] * x[i][j];
        sum_xl[j] += weight * x[i][j] * code;
        sum_l2[j] += weight * code * code;
      }
    for (std::size_t j = 0; j < kLanes; ++j) {
      const bool better = sum_l2[j] > 0 && sum_xl[j] * sum_xl[j] > best[j] * sum_l2[j];
      const float fitted = sum_xl[j] / (sum_l2[j] > 0 ? sum_l2[j] : 1.0f);
      scale[j] = better ? fitted : scale[j];
      best[j] = better ? fitted * sum_xl[j] : best[j];
    }
  }
}

void encode(const float* values, std::byte* out) {
  Lanes x;
  to_lanes<kLength, kLanes>(values, x);
  float scale[kLanes], extreme = 0;
  fit_scales(x, scale);
  for (const float s : scale)
    if (std::abs(s) > std::abs(extreme)) extreme = s;
  std::memset(out, 0, Q6KBlock::kBytes);
  if (std::abs(extreme) < kZero) return;
  const float inverse = -128.0f / extreme;
  store_scale(1 / inverse, out + 208, "q6_k");
  const float d = half_at(out + 208);
  for (std::size_t j = 0; j < kLanes; ++j) {
    const float s = nearest(inverse * scale[j], -128, 127);
    out[192 + j] = static_cast<std::byte>(static_cast<std::int8_t>(s));
    const float step = d * s;
    const std::size_t half = j / 8, quarter = j / 2 % 4, first = 16 * (j % 2);
    for (std::size_t i = 0; i < kLength; ++i) {
      const unsigned code = step == 0 ? 32 : code_of(x[i][j] / step, kLeast, kMost) + 32;
      out[64 * half + 32 * (quarter % 2) + first + i] |= static_cast<std::byte>((code & 15) << (4 * (quarter / 2)));
      out[128 + 32 * half + first + i] |= static_cast<std::byte>(code >> 4 << (2 * quarter));
    }
  }
}

void quantize_q6_k(std::span<const float> values, std::span<std::byte> stored) {
  check_finite(values, "q6_k");
  for (std::size_t block = 0; block < values.size() / Q6KBlock::kValues; ++block)
    encode(values.data() + block * Q6KBlock::kValues, stored.data() + block * Q6KBlock::kBytes);
}

}  // namespace

BlockFormat q6_k_blocks() { return {Type::q6_k, dequantize_q6_k, quantize_q6_k}; }

}  // namespace starling::core

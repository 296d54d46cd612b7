// Q3_K: 256 values as { u8 h[32]; u8 q[64]; u8 scales[12]; binary16 d } (sub_blocks.h).
#include "core/quant/blocks.h"
#include "core/quant/fit.h"
#include "core/quant/sub_blocks.h"

namespace starling::core {
namespace {

constexpr std::size_t kQ3KLanes = 16, kQ3KLength = 16;
using Lanes = LaneValues<kQ3KLength, kQ3KLanes>;
constexpr float kQ3KLeast = -4, kQ3KMost = 3;  // of a code

void dequantize_q3_k(Bytes stored, std::span<float> values) {
  expand_blocks<Q3KBlock>(stored.data(), values.size(), values.data());
}

/// One pass over the codes: each moves to the value that suits the others' scale best, where that raises
/// (sum w x q)^2 / (sum w q^2). Weights are x^2.
void improve_q3_k(const Lanes& x, Lanes& codes, float (&sum_xl)[kQ3KLanes], float (&sum_l2)[kQ3KLanes]) {
  for (std::size_t i = 0; i < kQ3KLength; ++i)
    for (std::size_t j = 0; j < kQ3KLanes; ++j) {
      const float value = x[i][j], weight = value * value, old = codes[i][j];
      const float others_xl = sum_xl[j] - weight * value * old, others_l2 = sum_l2[j] - weight * old * old;
      const bool usable = others_xl > 0;
      const float code = nearest(value * others_l2 / (usable ? others_xl : 1.0f), kQ3KLeast, kQ3KMost);
      const float xl = others_xl + weight * value * code, l2 = others_l2 + weight * code * code;
      const bool better = usable & (code != old) & (l2 > 0) & (xl * xl * sum_l2[j] > sum_xl[j] * sum_xl[j] * l2);
      codes[i][j] = better ? code : old;
      sum_xl[j] = better ? xl : sum_xl[j];
      sum_l2[j] = better ? l2 : sum_l2[j];
    }
}

void fit_scales_q3_k(const Lanes& x, float (&scale)[kQ3KLanes]) {
  constexpr int kPasses = 5;
  float extreme[kQ3KLanes], inverse[kQ3KLanes], sum_xl[kQ3KLanes] = {}, sum_l2[kQ3KLanes] = {};
  extremes<kQ3KLength, kQ3KLanes>(x, extreme);
  for (std::size_t j = 0; j < kQ3KLanes; ++j) inverse[j] = std::abs(extreme[j]) < kZero ? 0.0f : kQ3KLeast / extreme[j];
  Lanes codes;
  for (std::size_t i = 0; i < kQ3KLength; ++i)
    for (std::size_t j = 0; j < kQ3KLanes; ++j) {
      const float code = nearest(inverse[j] * x[i][j], kQ3KLeast, kQ3KMost), weight = x[i][j] * x[i][j];
      codes[i][j] = code;
      sum_xl[j] += weight * x[i][j] * code;
      sum_l2[j] += weight * code * code;
    }
  for (int pass = 0; pass < kPasses; ++pass) improve_q3_k(x, codes, sum_xl, sum_l2);
  for (std::size_t j = 0; j < kQ3KLanes; ++j) scale[j] = inverse[j] != 0 && sum_l2[j] > 0 ? sum_xl[j] / sum_l2[j] : 0.0f;
}

void encode_q3_k(const float* values, std::byte* out) {
  Lanes x;
  to_lanes<kQ3KLength, kQ3KLanes>(values, x);
  float scale[kQ3KLanes], extreme = 0;
  fit_scales_q3_k(x, scale);
  for (const float s : scale)
    if (std::abs(s) > std::abs(extreme)) extreme = s;
  const float inverse = std::abs(extreme) > kFlat ? -32.0f / extreme : 0.0f;
  std::memset(out, 0, Q3KBlock::kBytes);
  if (inverse == 0) return;
  store_scale(1 / inverse, out + 108, "q3_k");
  const float d = half_at(out + 108);
  for (std::size_t j = 0; j < kQ3KLanes; ++j) {
    const int s = static_cast<int>(nearest(inverse * scale[j], -32, 31));
    const auto stored = static_cast<unsigned>(s + 32);
    out[96 + j % 8] |= static_cast<std::byte>((stored & 15) << (j < 8 ? 0 : 4));
    out[104 + j % 4] |= static_cast<std::byte>(stored >> 4 << (2 * (j / 4)));
    const float step = d * static_cast<float>(s);
    std::byte* codes = out + 32 + 32 * (j / 8) + 16 * (j % 2);
    for (std::size_t i = 0; i < kQ3KLength; ++i) {
      const unsigned code = step == 0 ? 4 : code_of(x[i][j] / step, kQ3KLeast, kQ3KMost) + 4;
      codes[i] |= static_cast<std::byte>((code & 3) << (2 * (j / 2 % 4)));
      out[16 * (j % 2) + i] |= static_cast<std::byte>(code >> 2 << (j / 2));
    }
  }
}

void quantize_q3_k(std::span<const float> values, std::span<std::byte> stored) {
  check_finite(values, "q3_k");
  for (std::size_t block = 0; block < values.size() / Q3KBlock::kValues; ++block)
    encode_q3_k(values.data() + block * Q3KBlock::kValues, stored.data() + block * Q3KBlock::kBytes);
}

}  // namespace

BlockFormat q3_k_blocks() { return {Type::q3_k, dequantize_q3_k, quantize_q3_k}; }

}  // namespace starling::core

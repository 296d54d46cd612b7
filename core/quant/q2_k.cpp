// Q2_K: 256 values as { u8 scales[16]; u8 q[64]; binary16 d, dmin } (sub_blocks.h); fit.h has the search.
#include "core/quant/blocks.h"
#include "core/quant/fit.h"
#include "core/quant/sub_blocks.h"

namespace starling::core {
namespace {

constexpr std::size_t kLanes = 16, kLength = 16;
using Lanes = LaneValues<kLength, kLanes>;
constexpr MinimumFit kRule{.most = 3, .first = -0.5f, .steps = 15, .absolute = true};

void dequantize_q2_k(Bytes stored, std::span<float> values) {
  expand_blocks<Q2KBlock>(stored.data(), values.size(), values.data());
}

void encode(const float* values, std::byte* out) {
  Lanes x, weights;
  to_lanes<kLength, kLanes>(values, x);
  for (std::size_t i = 0; i < kLength; ++i)
    for (std::size_t j = 0; j < kLanes; ++j) weights[i][j] = std::abs(x[i][j]);
  float scale[kLanes], minimum[kLanes];
  fit_minimum<kLength, kLanes>(x, weights, kRule, scale, minimum);
  const float scale_most = *std::max_element(scale, scale + kLanes), depth_most = -*std::min_element(minimum, minimum + kLanes);
  std::memset(out, 0, Q2KBlock::kBytes);
  store_scale(scale_most / 15.0f, out + 80, "q2_k");
  store_scale(depth_most / 15.0f, out + 82, "q2_k");
  const float d = half_at(out + 80), dmin = half_at(out + 82);
  const float to_scale = scale_most > kFlat ? 15.0f / scale_most : 0, to_depth = depth_most > kFlat ? 15.0f / depth_most : 0;
  for (std::size_t j = 0; j < kLanes; ++j) {
    const unsigned s = code_of(to_scale * scale[j], 0, 15), m = code_of(to_depth * -minimum[j], 0, 15);
    out[j] = static_cast<std::byte>(s | m << 4);
    const float step = d * static_cast<float>(s), depth = dmin * static_cast<float>(m);
    if (step == 0) continue;
    std::byte* codes = out + 16 + 32 * (j / 8) + 16 * (j % 2);
    const unsigned shift = 2 * (static_cast<unsigned>(j) / 2 % 4);
    for (std::size_t i = 0; i < kLength; ++i)
      codes[i] |= static_cast<std::byte>(code_of((x[i][j] + depth) / step, 0, 3) << shift);
  }
}

void quantize_q2_k(std::span<const float> values, std::span<std::byte> stored) {
  check_finite(values, "q2_k");
  for (std::size_t block = 0; block < values.size() / Q2KBlock::kValues; ++block)
    encode(values.data() + block * Q2KBlock::kValues, stored.data() + block * Q2KBlock::kBytes);
}

}  // namespace

BlockFormat q2_k_blocks() { return {Type::q2_k, dequantize_q2_k, quantize_q2_k}; }

}  // namespace starling::core

// Q2_K: 256 values as { u8 scales[16]; u8 q[64]; binary16 d, dmin } (sub_blocks.h); fit.h has the search.
#include "core/quant/blocks.h"
#include "core/quant/fit.h"
#include "core/quant/sub_blocks.h"

namespace starling::core {
namespace {

constexpr std::size_t kQ2KLanes = 16, kQ2KLength = 16;
using Lanes = LaneValues<kQ2KLength, kQ2KLanes>;
constexpr MinimumFit kQ2KRule{.most = 3, .first = -0.5f, .steps = 15, .absolute = true};

void dequantize_q2_k(Bytes stored, std::span<float> values) {
  expand_blocks<Q2KBlock>(stored.data(), values.size(), values.data());
}

void encode_q2_k(const float* values, std::byte* out) {
  Lanes x, weights;
  to_lanes<kQ2KLength, kQ2KLanes>(values, x);
  for (std::size_t i = 0; i < kQ2KLength; ++i)
    for (std::size_t j = 0; j < kQ2KLanes; ++j) weights[i][j] = std::abs(x[i][j]);
  float scale[kQ2KLanes], minimum[kQ2KLanes];
  fit_minimum<kQ2KLength, kQ2KLanes>(x, weights, kQ2KRule, scale, minimum);
  const float scale_most = *std::max_element(scale, scale + kQ2KLanes), depth_most = -*std::min_element(minimum, minimum + kQ2KLanes);
  std::memset(out, 0, Q2KBlock::kBytes);
  store_scale(scale_most / 15.0f, out + 80, "q2_k");
  store_scale(depth_most / 15.0f, out + 82, "q2_k");
  const float d = half_at(out + 80), dmin = half_at(out + 82);
  const float to_scale = scale_most > kFlat ? 15.0f / scale_most : 0, to_depth = depth_most > kFlat ? 15.0f / depth_most : 0;
  for (std::size_t j = 0; j < kQ2KLanes; ++j) {
    const unsigned s = code_of(to_scale * scale[j], 0, 15), m = code_of(to_depth * -minimum[j], 0, 15);
    out[j] = static_cast<std::byte>(s | m << 4);
    const float step = d * static_cast<float>(s), depth = dmin * static_cast<float>(m);
    if (step == 0) continue;
    std::byte* codes = out + 16 + 32 * (j / 8) + 16 * (j % 2);
    const unsigned shift = 2 * (static_cast<unsigned>(j) / 2 % 4);
    for (std::size_t i = 0; i < kQ2KLength; ++i)
      codes[i] |= static_cast<std::byte>(code_of((x[i][j] + depth) / step, 0, 3) << shift);
  }
}

void quantize_q2_k(std::span<const float> values, std::span<std::byte> stored) {
  check_finite(values, "q2_k");
  for (std::size_t block = 0; block < values.size() / Q2KBlock::kValues; ++block)
    encode_q2_k(values.data() + block * Q2KBlock::kValues, stored.data() + block * Q2KBlock::kBytes);
}

}  // namespace

BlockFormat q2_k_blocks() { return {Type::q2_k, dequantize_q2_k, quantize_q2_k}; }

}  // namespace starling::core

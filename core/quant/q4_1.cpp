// Q4_1: 32 values as { binary16 d; binary16 m; u8 q[16] }, y = d * nibble + m (sub_blocks.h).
#include "core/quant/blocks.h"
#include "core/quant/fit.h"
#include "core/quant/sub_blocks.h"

namespace starling::core {
namespace {

void dequantize_q4_1(Bytes stored, std::span<float> values) {
  expand_blocks<Q41Block>(stored.data(), values.size(), values.data());
}

void quantize_q4_1(std::span<const float> values, std::span<std::byte> stored) {
  check_finite(values, "q4_1");
  for (std::size_t block = 0; block < values.size() / kSubBlock; ++block) {
    const auto x = values.subspan(block * kSubBlock, kSubBlock);
    const auto [least, most] = std::minmax_element(x.begin(), x.end());
    // The codes use scale and minimum before their rounding to binary16.
    const float m = *least, d = (*most - m) / 15.0f;
    const float inverse = d > kFlat ? 1.0f / d : 0.0f;
    std::byte* out = stored.data() + block * Q41Block::kBytes;
    store_scale(d, out, "q4_1");
    store_scale(m, out + 2, "q4_1");
    const auto code = [&](float value) { return static_cast<unsigned>(std::clamp((value - m) * inverse + 0.5f, 0.0f, 15.0f)); };
    for (std::size_t i = 0; i < 16; ++i) out[4 + i] = static_cast<std::byte>(code(x[i]) | code(x[i + 16]) << 4);
  }
}

}  // namespace

BlockFormat q4_1_blocks() { return {Type::q4_1, dequantize_q4_1, quantize_q4_1}; }

}  // namespace starling::core

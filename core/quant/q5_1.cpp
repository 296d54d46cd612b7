// Q5_1: 32 values as { binary16 d; binary16 m; u8 h[4]; u8 q[16] }, y = d * code + m (sub_blocks.h).
#include "core/quant/blocks.h"
#include "core/quant/fit.h"
#include "core/quant/sub_blocks.h"

namespace starling::core {
namespace {

void dequantize_q5_1(Bytes stored, std::span<float> values) {
  expand_blocks<Q51Block>(stored.data(), values.size(), values.data());
}

void quantize_q5_1(std::span<const float> values, std::span<std::byte> stored) {
  check_finite(values, "q5_1");
  for (std::size_t block = 0; block < values.size() / kSubBlock; ++block) {
    const auto x = values.subspan(block * kSubBlock, kSubBlock);
    const auto [least, most] = std::minmax_element(x.begin(), x.end());
    const float m = *least, d = (*most - m) / 31.0f;
    const float inverse = d > kFlat ? 1.0f / d : 0.0f;
    std::byte* out = stored.data() + block * Q51Block::kBytes;
    store_scale(d, out, "q5_1");
    store_scale(m, out + 2, "q5_1");
    std::uint32_t high = 0;
    const auto code = [&](std::size_t i) {
      const auto five = static_cast<unsigned>(std::clamp((x[i] - m) * inverse + 0.5f, 0.0f, 31.0f));
      high |= five >> 4 << i;
      return five & 15;
    };
    for (std::size_t i = 0; i < 16; ++i) out[8 + i] = static_cast<std::byte>(code(i) | code(i + 16) << 4);
    std::memcpy(out + 4, &high, sizeof high);
  }
}

}  // namespace

BlockFormat q5_1_blocks() { return {Type::q5_1, dequantize_q5_1, quantize_q5_1}; }

}  // namespace starling::core

// Q5_0: 32 values as { binary16 d; u8 h[4]; u8 q[16] }, y = d * (code - 16) (sub_blocks.h).
#include "core/quant/blocks.h"
#include "core/quant/fit.h"
#include "core/quant/sub_blocks.h"

namespace starling::core {
namespace {

void dequantize_q5_0(Bytes stored, std::span<float> values) {
  expand_blocks<Q50Block>(stored.data(), values.size(), values.data());
}

void quantize_q5_0(std::span<const float> values, std::span<std::byte> stored) {
  check_finite(values, "q5_0");
  for (std::size_t block = 0; block < values.size() / kSubBlock; ++block) {
    const auto x = values.subspan(block * kSubBlock, kSubBlock);
    float extreme = 0;  // always becomes code 0
    for (const float value : x)
      if (std::abs(value) > std::abs(extreme)) extreme = value;
    const float d = extreme / -16.0f;
    const float inverse = std::abs(d) > kFlat ? 1.0f / d : 0.0f;
    std::byte* out = stored.data() + block * Q50Block::kBytes;
    store_scale(d, out, "q5_0");
    std::uint32_t high = 0;
    const auto code = [&](std::size_t i) {
      const auto five = static_cast<unsigned>(std::clamp(x[i] * inverse + 16.5f, 0.0f, 31.0f));
      high |= five >> 4 << i;
      return five & 15;
    };
    for (std::size_t i = 0; i < 16; ++i) out[6 + i] = static_cast<std::byte>(code(i) | code(i + 16) << 4);
    std::memcpy(out + 2, &high, sizeof high);
  }
}

}  // namespace

BlockFormat q5_0_blocks() { return {Type::q5_0, dequantize_q5_0, quantize_q5_0}; }

}  // namespace starling::core

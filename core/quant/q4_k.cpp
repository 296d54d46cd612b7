// Q4_K: 256 values as { binary16 d, dmin; u8 scales[12]; u8 q[128] } (sub_blocks.h).
#include "core/quant/blocks.h"
#include "core/quant/six_bit.h"

namespace starling::core {
namespace {

constexpr MinimumFit kQ4KRule{.most = 15, .first = -1.0f, .steps = 20, .absolute = false};

void dequantize_q4_k(Bytes stored, std::span<float> values) {
  expand_blocks<Q4KBlock>(stored.data(), values.size(), values.data());
}

void quantize_q4_k(std::span<const float> values, std::span<std::byte> stored) {
  check_finite(values, "q4_k");
  for (std::size_t block = 0; block < values.size() / Q4KBlock::kValues; ++block) {
    std::byte* out = stored.data() + block * Q4KBlock::kBytes;
    unsigned codes[kSixBitLanes][kSubBlock];
    encode_six_bit(values.data() + block * Q4KBlock::kValues, kQ4KRule, "q4_k", out, codes);
    for (std::size_t pair = 0; pair < 4; ++pair)
      for (std::size_t i = 0; i < kSubBlock; ++i)
        out[16 + 32 * pair + i] = static_cast<std::byte>(codes[2 * pair][i] | codes[2 * pair + 1][i] << 4);
  }
}

}  // namespace

BlockFormat q4_k_blocks() { return {Type::q4_k, dequantize_q4_k, quantize_q4_k}; }

}  // namespace starling::core

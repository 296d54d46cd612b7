// Q5_K: 256 values as { binary16 d, dmin; u8 scales[12]; u8 h[32]; u8 q[128] } (sub_blocks.h).
#include "core/quant/blocks.h"
#include "core/quant/six_bit.h"

namespace starling::core {
namespace {

constexpr MinimumFit kQ5KRule{.most = 31, .first = -0.5f, .steps = 15, .absolute = false};

void dequantize_q5_k(Bytes stored, std::span<float> values) {
  expand_blocks<Q5KBlock>(stored.data(), values.size(), values.data());
}

void quantize_q5_k(std::span<const float> values, std::span<std::byte> stored) {
  check_finite(values, "q5_k");
  for (std::size_t block = 0; block < values.size() / Q5KBlock::kValues; ++block) {
    std::byte* out = stored.data() + block * Q5KBlock::kBytes;
    unsigned codes[kSixBitLanes][kSubBlock];
    encode_six_bit(values.data() + block * Q5KBlock::kValues, kQ5KRule, "q5_k", out, codes);
    for (std::size_t i = 0; i < kSubBlock; ++i) {
      unsigned high = 0;
      for (std::size_t j = 0; j < kSixBitLanes; ++j) high |= codes[j][i] >> 4 << j;
      out[16 + i] = static_cast<std::byte>(high);
      for (std::size_t pair = 0; pair < 4; ++pair)
        out[48 + 32 * pair + i] = static_cast<std::byte>((codes[2 * pair][i] & 15) | (codes[2 * pair + 1][i] & 15) << 4);
    }
  }
}

}  // namespace

BlockFormat q5_k_blocks() { return {Type::q5_k, dequantize_q5_k, quantize_q5_k}; }

}  // namespace starling::core

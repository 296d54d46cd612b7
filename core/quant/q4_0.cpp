// Q4_0: 32 values as { binary16 d; u8 q[16] }. Value i is the low nibble of q[i], value i + 16 the high one;
// y = d * (nibble - 8).
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/quant/blocks.h"
#include "core/quant/half.h"

namespace starling::core {
namespace {

constexpr std::size_t kQ40Values = 32, kQ40Half = 16, kQ40Bytes = 18;

void dequantize_q4_0(Bytes stored, std::span<float> values) {
  for (std::size_t block = 0; block < values.size() / kQ40Values; ++block) {
    const std::byte* in = stored.data() + block * kQ40Bytes;
    float* out = values.data() + block * kQ40Values;
    std::uint16_t scale;
    std::memcpy(&scale, in, 2);
    const float d = float_from_f16(scale);
    for (std::size_t i = 0; i < kQ40Half; ++i) {
      const int pair = static_cast<int>(in[2 + i]);
      out[i] = d * static_cast<float>((pair & 15) - 8);
      out[i + kQ40Half] = d * static_cast<float>((pair >> 4) - 8);
    }
  }
}

/// The value of largest magnitude with its sign, the first on ties: it always becomes code 0.
float extreme(std::span<const float> values) {
  float result = 0;
  for (const float value : values) {
    check(std::isfinite(value), Kind::unsupported, "q4_0 cannot hold the value {}", value);
    if (std::abs(value) > std::abs(result)) result = value;
  }
  return result;
}

void quantize_q4_0(std::span<const float> values, std::span<std::byte> stored) {
  for (std::size_t block = 0; block < values.size() / kQ40Values; ++block) {
    const auto x = values.subspan(block * kQ40Values, kQ40Values);
    const float d = extreme(x) / -8.0f;
    const std::uint16_t scale = f16_from_float(d);
    check((scale & 0x7fffu) < 0x7c00u, Kind::unsupported, "q4_0 cannot hold the value {}: its scale exceeds binary16",
          d * -8.0f);
    const float exact_inverse = 1.0f / d;
    const float inverse = std::isfinite(exact_inverse) ? exact_inverse : 0.0f;
    const auto code = [&](float value) {
      return static_cast<unsigned>(std::clamp(value * inverse + 8.5f, 0.0f, 15.0f));
    };
    std::byte* out = stored.data() + block * kQ40Bytes;
    std::memcpy(out, &scale, 2);
    for (std::size_t i = 0; i < kQ40Half; ++i) out[2 + i] = static_cast<std::byte>(code(x[i]) | code(x[i + kQ40Half]) << 4);
  }
}

}  // namespace

BlockFormat q4_0_blocks() { return {Type::q4_0, dequantize_q4_0, quantize_q4_0}; }

}  // namespace starling::core

// Q8_0: 32 values as { binary16 d; i8 q[32] }, y = d * q.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/quant/blocks.h"
#include "core/quant/half.h"

namespace starling::core {
namespace {

constexpr std::size_t kQ80Values = 32, kQ80Bytes = 34;

void dequantize_q8_0(Bytes stored, std::span<float> values) {
  for (std::size_t block = 0; block < values.size() / kQ80Values; ++block) {
    const std::byte* in = stored.data() + block * kQ80Bytes;
    std::uint16_t scale;
    std::memcpy(&scale, in, 2);
    const float d = float_from_f16(scale);
    for (std::size_t i = 0; i < kQ80Values; ++i)
      values[block * kQ80Values + i] = d * static_cast<float>(static_cast<std::int8_t>(in[2 + i]));
  }
}

void quantize_q8_0(std::span<const float> values, std::span<std::byte> stored) {
  for (std::size_t block = 0; block < values.size() / kQ80Values; ++block) {
    const auto x = values.subspan(block * kQ80Values, kQ80Values);
    float largest = 0;
    for (const float value : x) {
      check(std::isfinite(value), Kind::unsupported, "q8_0 cannot hold the value {}", value);
      largest = std::max(largest, std::abs(value));
    }
    const float d = largest / 127.0f;
    const std::uint16_t scale = f16_from_float(d);
    check(scale < 0x7c00u, Kind::unsupported, "q8_0 cannot hold the value {}: its scale exceeds binary16", largest);
    // The codes use the scale before its rounding to binary16; a scale whose inverse overflows is zero there.
    const float inverse = 1.0f / d;
    std::byte* out = stored.data() + block * kQ80Bytes;
    std::memcpy(out, &scale, 2);
    for (std::size_t i = 0; i < kQ80Values; ++i) {
      const float code = std::isfinite(inverse) ? std::round(x[i] * inverse) : 0.0f;
      out[2 + i] = static_cast<std::byte>(static_cast<std::int8_t>(std::clamp(code, -127.0f, 127.0f)));
    }
  }
}

}  // namespace

BlockFormat q8_0_blocks() { return {Type::q8_0, dequantize_q8_0, quantize_q8_0}; }

}  // namespace starling::core

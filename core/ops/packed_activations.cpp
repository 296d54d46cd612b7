#include "core/ops/packed_activations.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace starling::core {
namespace {

constexpr std::int32_t kInfinity = 0x7f800000;

/// The eleven bits of binary16, as ggml's Q8_0 has it, so that results agree with its ones; but with the range of floats.
float eleven_bits(float scale) {
  const auto bits = std::bit_cast<std::uint32_t>(scale);
  return std::bit_cast<float>((bits + 0xfff + (bits >> 13 & 1)) & ~std::uint32_t{0x1fff});
}

/// Plain loops over 32 values, which the compiler turns into vectors: integer comparison and rounding by adding
/// a large number give the same codes however it does.
void quantize_block(const float* x, PackedActivations& out) {
  std::int32_t largest = 0;
  for (std::size_t i = 0; i < kPackedBlock; ++i) largest = std::max(largest, std::bit_cast<std::int32_t>(x[i]) & 0x7fffffff);
  const float scale = std::bit_cast<float>(largest) / 127.0f;
  float inverse = 127.0f / std::bit_cast<float>(largest);
  if (largest >= kInfinity || !std::isfinite(inverse)) inverse = 0;
  constexpr float kRounder = 0x1.8p23f;  // floats from 2^23 to 2^24 are the integers
  std::int32_t codes[kPackedBlock];
  for (std::size_t i = 0; i < kPackedBlock; ++i)
    codes[i] = std::bit_cast<std::int32_t>(x[i] * inverse + kRounder) - std::bit_cast<std::int32_t>(kRounder);
  if (inverse == 0) std::fill_n(codes, kPackedBlock, 0);
  std::int32_t first = 0, second = 0;
  for (std::size_t i = 0; i < kPackedBlock / 2; ++i) first += codes[i];
  for (std::size_t i = kPackedBlock / 2; i < kPackedBlock; ++i) second += codes[i];
  for (std::size_t i = 0; i < kPackedBlock; ++i) out.codes[i] = static_cast<std::int8_t>(codes[i]);
  out.scale = largest >= kInfinity ? std::numeric_limits<float>::quiet_NaN() : eleven_bits(scale);
  out.half_sum = first;
  out.sum = first + second;
  out.scaled_sum = out.scale * static_cast<float>(out.sum);
}

}  // namespace

void quantize_tile(std::span<const float> x, std::size_t rows, std::size_t columns, std::size_t tile, PackedActivations* out) {
  const std::size_t first = tile * kPackedTileRows, count = std::min(kPackedTileRows, rows - first), blocks = columns / kPackedBlock;
  PackedActivations* const to = out + first * blocks;
  for (std::size_t r = 0; r < count; ++r)
    for (std::size_t b = 0; b < blocks; ++b)
      quantize_block(x.data() + (first + r) * columns + b * kPackedBlock, to[b * count + r]);
}

}  // namespace starling::core

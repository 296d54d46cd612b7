// What the bytes of a block mean: one decoder per type, of 32 consecutive values at a time, for the reference
// conversions and for the products of types that have no kernel of their own. Layouts are those of GGUF (ggml);
// all numbers are little-endian. Everything but the last subtraction of a minimum is exact in F32, so fused and
// separate arithmetic give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/quant/half.h"

namespace starling::core {

constexpr std::size_t kSubBlock = 32;  // values that a decoder gives at once

inline float half_at(const std::byte* p) {
  std::uint16_t bits;
  std::memcpy(&bits, p, sizeof bits);
  return float_from_f16(bits);
}

inline int byte_at(const std::byte* p) { return static_cast<int>(*p); }

/// { binary16 d; binary16 m; u8 q[16] }: y = d * nibble + m.
struct Q41Block {
  static constexpr std::size_t kValues = 32, kBytes = 20;
  static void expand(const std::byte* block, std::size_t, float* out) {
    const float d = half_at(block), m = half_at(block + 2);
    for (std::size_t i = 0; i < 16; ++i) {
      const int pair = byte_at(block + 4 + i);
      out[i] = d * static_cast<float>(pair & 15) + m;
      out[i + 16] = d * static_cast<float>(pair >> 4) + m;
    }
  }
};

/// The fifth bits of 32 codes: bit j of a u32 belongs to value j.
inline std::uint32_t fifth_bits(const std::byte* p) {
  std::uint32_t bits;
  std::memcpy(&bits, p, sizeof bits);
  return bits;
}

/// { binary16 d; u8 h[4]; u8 q[16] }: y = d * (code - 16).
struct Q50Block {
  static constexpr std::size_t kValues = 32, kBytes = 22;
  static void expand(const std::byte* block, std::size_t, float* out) {
    const float d = half_at(block);
    const std::uint32_t high = fifth_bits(block + 2);
    for (std::size_t i = 0; i < 16; ++i) {
      const int pair = byte_at(block + 6 + i);
      const int low = static_cast<int>(high >> i & 1) << 4, upper = static_cast<int>(high >> (i + 16) & 1) << 4;
      out[i] = d * static_cast<float>(((pair & 15) | low) - 16);
      out[i + 16] = d * static_cast<float>(((pair >> 4) | upper) - 16);
    }
  }
};

/// { binary16 d; binary16 m; u8 h[4]; u8 q[16] }: y = d * code + m.
struct Q51Block {
  static constexpr std::size_t kValues = 32, kBytes = 24;
  static void expand(const std::byte* block, std::size_t, float* out) {
    const float d = half_at(block), m = half_at(block + 2);
    const std::uint32_t high = fifth_bits(block + 4);
    for (std::size_t i = 0; i < 16; ++i) {
      const int pair = byte_at(block + 8 + i);
      const int low = static_cast<int>(high >> i & 1) << 4, upper = static_cast<int>(high >> (i + 16) & 1) << 4;
      out[i] = d * static_cast<float>((pair & 15) | low) + m;
      out[i + 16] = d * static_cast<float>((pair >> 4) | upper) + m;
    }
  }
};

/// { u8 scales[16]; u8 q[64]; binary16 d, dmin }: sub-blocks of 16, low nibble of a scale for the codes, high one
/// for the minimum; y = d * scale * code - dmin * minimum.
struct Q2KBlock {
  static constexpr std::size_t kValues = 256, kBytes = 84;
  static void expand(const std::byte* block, std::size_t part, float* out) {
    const float d = half_at(block + 80), dmin = half_at(block + 82);
    const std::byte* codes = block + 16 + 32 * (part / 4);
    const unsigned shift = 2 * (part % 4);
    for (std::size_t h = 0; h < 2; ++h) {
      const int packed = byte_at(block + 2 * part + h);
      const float scale = d * static_cast<float>(packed & 15), minimum = dmin * static_cast<float>(packed >> 4);
      for (std::size_t i = 16 * h; i < 16 * h + 16; ++i)
        out[i] = scale * static_cast<float>(byte_at(codes + i) >> shift & 3) - minimum;
    }
  }
};

/// { u8 h[32]; u8 q[64]; u8 scales[12]; binary16 d }: sub-blocks of 16; y = d * (scale - 32) * code, code -4..3,
/// whose high bit is inverted in h.
struct Q3KBlock {
  static constexpr std::size_t kValues = 256, kBytes = 110;
  /// The six-bit scale of a sub-block.
  static int scale(const std::byte* packed, std::size_t j) {
    const int low = j < 8 ? byte_at(packed + j) & 15 : byte_at(packed + j - 8) >> 4;
    return low | (byte_at(packed + 8 + j % 4) >> (2 * (j / 4)) & 3) << 4;
  }
  static void expand(const std::byte* block, std::size_t part, float* out) {
    const float d = half_at(block + 108);
    const std::byte* codes = block + 32 + 32 * (part / 4);
    const unsigned shift = 2 * (part % 4);
    for (std::size_t h = 0; h < 2; ++h) {
      const float step = d * static_cast<float>(scale(block + 96, 2 * part + h) - 32);
      for (std::size_t i = 16 * h; i < 16 * h + 16; ++i) {
        const int high = (byte_at(block + i) >> part & 1) << 2;
        out[i] = step * static_cast<float>((byte_at(codes + i) >> shift & 3) + high - 4);
      }
    }
  }
};

/// The eight six-bit scales and minima that Q4_K and Q5_K pack into 12 bytes.
struct SixBitPair {
  int scale, minimum;
};

inline SixBitPair six_bit_pair(const std::byte* p, std::size_t j) {
  if (j < 4) return {byte_at(p + j) & 63, byte_at(p + j + 4) & 63};
  return {(byte_at(p + j + 4) & 15) | byte_at(p + j - 4) >> 6 << 4, byte_at(p + j + 4) >> 4 | byte_at(p + j) >> 6 << 4};
}

/// { binary16 d, dmin; u8 scales[12]; u8 q[128] }: sub-blocks of 32; y = d * scale * nibble - dmin * minimum.
struct Q4KBlock {
  static constexpr std::size_t kValues = 256, kBytes = 144;
  static void expand(const std::byte* block, std::size_t part, float* out) {
    const SixBitPair pair = six_bit_pair(block + 4, part);
    const float scale = half_at(block) * static_cast<float>(pair.scale);
    const float minimum = half_at(block + 2) * static_cast<float>(pair.minimum);
    const std::byte* codes = block + 16 + 32 * (part / 2);
    const unsigned shift = 4 * (part % 2);
    for (std::size_t i = 0; i < kSubBlock; ++i)
      out[i] = scale * static_cast<float>(byte_at(codes + i) >> shift & 15) - minimum;
  }
};

/// { binary16 d, dmin; u8 scales[12]; u8 h[32]; u8 q[128] }: Q4_K with a fifth bit; bit j of h[i] belongs to value
/// i of sub-block j.
struct Q5KBlock {
  static constexpr std::size_t kValues = 256, kBytes = 176;
  static void expand(const std::byte* block, std::size_t part, float* out) {
    const SixBitPair pair = six_bit_pair(block + 4, part);
    const float scale = half_at(block) * static_cast<float>(pair.scale);
    const float minimum = half_at(block + 2) * static_cast<float>(pair.minimum);
    const std::byte* codes = block + 48 + 32 * (part / 2);
    const unsigned shift = 4 * (part % 2);
    for (std::size_t i = 0; i < kSubBlock; ++i) {
      const int high = (byte_at(block + 16 + i) >> part & 1) << 4;
      out[i] = scale * static_cast<float>((byte_at(codes + i) >> shift & 15) | high) - minimum;
    }
  }
};

/// { u8 low[128]; u8 high[64]; i8 scales[16]; binary16 d }: sub-blocks of 16; y = d * scale * (code - 32). In each
/// half of 128 values, quarter c has its low nibbles in bytes 32 (c mod 2) on, of side c / 2, and its high bits at 2 c.
struct Q6KBlock {
  static constexpr std::size_t kValues = 256, kBytes = 210;
  static void expand(const std::byte* block, std::size_t part, float* out) {
    const std::size_t half = part / 4, quarter = part % 4;
    const float d = half_at(block + 208);
    const std::byte* low = block + 64 * half + 32 * (quarter % 2);
    const std::byte* high = block + 128 + 32 * half;
    const unsigned side = 4 * static_cast<unsigned>(quarter / 2), shift = 2 * static_cast<unsigned>(quarter);
    for (std::size_t h = 0; h < 2; ++h) {
      const auto scale = static_cast<std::int8_t>(block[192 + 2 * part + h]);
      const float step = d * static_cast<float>(scale);
      for (std::size_t i = 16 * h; i < 16 * h + 16; ++i) {
        const int code = (byte_at(low + i) >> side & 15) | (byte_at(high + i) >> shift & 3) << 4;
        out[i] = step * static_cast<float>(code - 32);
      }
    }
  }
};

/// All values of consecutive blocks.
template <class Block>
void expand_blocks(const std::byte* stored, std::size_t values, float* out) {
  constexpr std::size_t kParts = Block::kValues / kSubBlock;
  for (std::size_t i = 0; i < values / kSubBlock; ++i)
    Block::expand(stored + i / kParts * Block::kBytes, i % kParts, out + i * kSubBlock);
}

}  // namespace starling::core

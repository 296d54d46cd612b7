// A block of one lane, written plane by plane: FourBits, FiveBits, ... of packed_formats.h.
#include "core/ops/packed_forms.h"

#include <cstring>

#include "core/quant/half.h"
#include "core/quant/sub_blocks.h"

namespace starling::core {
namespace {

constexpr std::size_t kQuadBytes = 4 * kPackedLanes;  // a quad of columns of all lanes
constexpr std::uint32_t kFlip = 0x80808080u;          // code to code + 128, four times
constexpr std::uint32_t kNibbles = 0x0f0f0f0fu;

std::uint32_t word(const std::uint8_t* p) {
  std::uint32_t w;
  std::memcpy(&w, p, sizeof w);
  return w;
}
void put(std::uint32_t w, std::uint8_t* p) { std::memcpy(p, &w, sizeof w); }
void put_more(std::uint32_t w, std::uint8_t* p) { put(word(p) | w, p); }

const std::byte* bytes_of(const std::uint8_t* p) { return reinterpret_cast<const std::byte*>(p); }

float half(const std::uint8_t* group, std::size_t lane) { return half_at(bytes_of(group + 2 * lane)); }

/// The nibbles of quad q in `first` (columns 4 q..) and `second` (16 + 4 q..), each byte below 16.
void put_pair(std::uint32_t first, std::uint32_t second, std::size_t q, std::size_t lane, std::uint8_t* codes) {
  put(first | second << 4, codes + q * kQuadBytes + 4 * lane);
}
/// One bit of each of the four codes of quad q of eight: the lowest of every byte.
void put_bit(std::uint32_t bits, std::size_t q, std::size_t lane, std::uint8_t* plane) { put_more(bits << q, plane + 4 * lane); }
/// Two bits of each, in the first plane for quads 0..3, in the second for the others.
void put_two(std::uint32_t bits, std::size_t q, std::size_t lane, std::uint8_t* planes) {
  put_more(bits << (2 * (q % 4)), planes + q / 4 * kQuadBytes + 4 * lane);
}

int nibble(const std::uint8_t* codes, std::size_t lane, std::size_t k) {
  return codes[k % 16 / 4 * kQuadBytes + 4 * lane + k % 4] >> (k / 16 * 4) & 15;
}
int bit(const std::uint8_t* plane, std::size_t lane, std::size_t k) { return plane[4 * lane + k % 4] >> (k / 4) & 1; }
int two(const std::uint8_t* planes, std::size_t lane, std::size_t k) {
  return planes[k / 16 * kQuadBytes + 4 * lane + k % 4] >> (k % 16 / 4 * 2) & 3;
}

void pack_q8_0(const std::uint8_t* block, std::size_t lane, std::uint8_t* group) {
  std::memcpy(group + 2 * lane, block, 2);
  for (std::size_t q = 0; q < 8; ++q) put(word(block + 2 + 4 * q) ^ kFlip, group + 32 + q * kQuadBytes + 4 * lane);
}

void unpack_q8_0(const std::uint8_t* group, std::size_t lane, float* values) {
  for (std::size_t k = 0; k < kPackedBlock; ++k)
    values[k] = half(group, lane) * static_cast<float>(group[32 + k / 4 * kQuadBytes + 4 * lane + k % 4] - 128);
}

/// Files pair value i with value i + 16 in a byte, and so do groups: words stay as they are.
void copy_pairs(const std::uint8_t* pairs, std::size_t lane, std::uint8_t* codes) {
  for (std::size_t q = 0; q < 4; ++q) put(word(pairs + 4 * q), codes + q * kQuadBytes + 4 * lane);
}

/// Bit k of `high` is the fifth of value k.
void put_fifths(std::uint32_t high, std::size_t lane, std::uint8_t* plane) {
  for (std::size_t q = 0; q < 8; ++q) {
    const std::uint32_t four = high >> (4 * q) & 15;
    put_bit((four & 1) | (four & 2) << 7 | (four & 4) << 14 | (four & 8) << 21, q, lane, plane);
  }
}

void pack_q4_0(const std::uint8_t* block, std::size_t lane, std::uint8_t* group) {
  std::memcpy(group + 2 * lane, block, 2);
  copy_pairs(block + 2, lane, group + 32);
}

void unpack_q4_0(const std::uint8_t* group, std::size_t lane, float* values) {
  for (std::size_t k = 0; k < kPackedBlock; ++k) values[k] = half(group, lane) * static_cast<float>(nibble(group + 32, lane, k) - 8);
}

void pack_q4_1(const std::uint8_t* block, std::size_t lane, std::uint8_t* group) {
  std::memcpy(group + 2 * lane, block, 2);
  std::memcpy(group + 32 + 2 * lane, block + 2, 2);
  copy_pairs(block + 4, lane, group + 64);
}

void unpack_q4_1(const std::uint8_t* group, std::size_t lane, float* values) {
  for (std::size_t k = 0; k < kPackedBlock; ++k)
    values[k] = half(group, lane) * static_cast<float>(nibble(group + 64, lane, k)) + half(group + 32, lane);
}

void pack_q5_0(const std::uint8_t* block, std::size_t lane, std::uint8_t* group) {
  std::memcpy(group + 2 * lane, block, 2);
  copy_pairs(block + 6, lane, group + 32);
  put_fifths(word(block + 2), lane, group + 32 + 256);
}

void unpack_q5_0(const std::uint8_t* group, std::size_t lane, float* values) {
  const std::uint8_t* const codes = group + 32;
  for (std::size_t k = 0; k < kPackedBlock; ++k)
    values[k] = half(group, lane) * static_cast<float>((nibble(codes, lane, k) | bit(codes + 256, lane, k) << 4) - 16);
}

void pack_q5_1(const std::uint8_t* block, std::size_t lane, std::uint8_t* group) {
  std::memcpy(group + 2 * lane, block, 2);
  std::memcpy(group + 32 + 2 * lane, block + 2, 2);
  copy_pairs(block + 8, lane, group + 64);
  put_fifths(word(block + 4), lane, group + 64 + 256);
}

void unpack_q5_1(const std::uint8_t* group, std::size_t lane, float* values) {
  const std::uint8_t* const codes = group + 64;
  for (std::size_t k = 0; k < kPackedBlock; ++k)
    values[k] = half(group, lane) * static_cast<float>(nibble(codes, lane, k) | bit(codes + 256, lane, k) << 4) + half(group + 32, lane);
}

/// Q4_K and Q5_K. Columns 64 p + 0..31 and 64 p + 32..63 share bytes in the file, columns of one part in the group.
template <bool kFifth>
struct SixBitScales {
  static constexpr std::size_t kPartBytes = kFifth ? 352 : 288;

  static void pack(const std::uint8_t* block, std::size_t lane, std::uint8_t* group) {
    std::memcpy(group + 2 * lane, block, 2);
    std::memcpy(group + 32 + 2 * lane, block + 2, 2);
    for (std::size_t j = 0; j < 8; ++j) {
      std::uint8_t* const part = group + 64 + j * kPartBytes;
      const SixBitPair s = six_bit_pair(bytes_of(block + 4), j);
      part[lane] = static_cast<std::uint8_t>(s.scale), part[16 + lane] = static_cast<std::uint8_t>(s.minimum);
      const std::uint8_t* const codes = block + (kFifth ? 48 : 16) + j / 2 * 32;
      for (std::size_t q = 0; q < 4; ++q)
        put_pair(word(codes + 4 * q) >> (j % 2 * 4) & kNibbles, word(codes + 16 + 4 * q) >> (j % 2 * 4) & kNibbles, q, lane, part + 32);
      if constexpr (kFifth)
        for (std::size_t q = 0; q < 8; ++q) put_bit(word(block + 16 + 4 * q) >> j & 0x01010101u, q, lane, part + 32 + 256);
    }
  }

  static void unpack(const std::uint8_t* group, std::size_t lane, float* values) {
    for (std::size_t j = 0; j < 8; ++j) {
      const std::uint8_t* const part = group + 64 + j * kPartBytes;
      const float scale = half(group, lane) * static_cast<float>(part[lane]), least = half(group + 32, lane) * static_cast<float>(part[16 + lane]);
      for (std::size_t k = 0; k < kPackedBlock; ++k) {
        int code = nibble(part + 32, lane, k);
        if constexpr (kFifth) code |= bit(part + 32 + 256, lane, k) << 4;
        values[32 * j + k] = scale * static_cast<float>(code) - least;
      }
    }
  }
};

/// In each half of 128 values of the file, row c of 32 has its low nibbles at 32 (c mod 2), side c / 2, its high bits at 2 c.
void pack_q6_k(const std::uint8_t* block, std::size_t lane, std::uint8_t* group) {
  std::memcpy(group + 2 * lane, block + 208, 2);
  for (std::size_t j = 0; j < 8; ++j) {
    std::uint8_t* const part = group + 32 + j * 416;
    part[lane] = block[192 + 2 * j], part[16 + lane] = block[192 + 2 * j + 1];
    const std::uint8_t* const low = block + 64 * (j / 4) + 32 * (j % 2);
    const std::uint8_t* const high = block + 128 + 32 * (j / 4);
    const auto nibbles = [&](std::size_t q) { return word(low + 4 * q) >> (j % 4 / 2 * 4) & kNibbles; };
    for (std::size_t q = 0; q < 4; ++q) put_pair(nibbles(q), nibbles(q + 4), q, lane, part + 32);
    for (std::size_t q = 0; q < 8; ++q) put_two(word(high + 4 * q) >> (2 * (j % 4)) & 0x03030303u, q, lane, part + 32 + 256);
  }
}

void unpack_q6_k(const std::uint8_t* group, std::size_t lane, float* values) {
  for (std::size_t j = 0; j < 8; ++j) {
    const std::uint8_t* const part = group + 32 + j * 416;
    for (std::size_t k = 0; k < kPackedBlock; ++k) {
      const float step = half(group, lane) * static_cast<float>(static_cast<std::int8_t>(part[k / 16 * 16 + lane]));
      values[32 * j + k] = step * static_cast<float>((nibble(part + 32, lane, k) | two(part + 32 + 256, lane, k) << 4) - 32);
    }
  }
}

/// Codes of two bits of part j in a K-quant's 64 bytes.
std::uint32_t two_bits(const std::uint8_t* codes, std::size_t j, std::size_t q) {
  return word(codes + 32 * (j / 4) + 4 * q) >> (2 * (j % 4)) & 0x03030303u;
}

void pack_q3_k(const std::uint8_t* block, std::size_t lane, std::uint8_t* group) {
  std::memcpy(group + 2 * lane, block + 108, 2);
  for (std::size_t j = 0; j < 8; ++j) {
    std::uint8_t* const part = group + 32 + j * 224;
    for (std::size_t h = 0; h < 2; ++h) part[16 * h + lane] = static_cast<std::uint8_t>(Q3KBlock::scale(bytes_of(block + 96), 2 * j + h) - 32);
    for (std::size_t q = 0; q < 8; ++q) {
      put_two(two_bits(block + 32, j, q), q, lane, part + 32);
      put_bit(word(block + 4 * q) >> j & 0x01010101u, q, lane, part + 32 + 128);
    }
  }
}

void unpack_q3_k(const std::uint8_t* group, std::size_t lane, float* values) {
  for (std::size_t j = 0; j < 8; ++j) {
    const std::uint8_t* const part = group + 32 + j * 224;
    for (std::size_t k = 0; k < kPackedBlock; ++k) {
      const float step = half(group, lane) * static_cast<float>(static_cast<std::int8_t>(part[k / 16 * 16 + lane]));
      values[32 * j + k] = step * static_cast<float>(two(part + 32, lane, k) + (bit(part + 32 + 128, lane, k) << 2) - 4);
    }
  }
}

void pack_q2_k(const std::uint8_t* block, std::size_t lane, std::uint8_t* group) {
  std::memcpy(group + 2 * lane, block + 80, 2);
  std::memcpy(group + 32 + 2 * lane, block + 82, 2);
  for (std::size_t j = 0; j < 8; ++j) {
    std::uint8_t* const part = group + 64 + j * 160;
    part[lane] = block[2 * j], part[16 + lane] = block[2 * j + 1];
    for (std::size_t q = 0; q < 8; ++q) put_two(two_bits(block + 16, j, q), q, lane, part + 32);
  }
}

void unpack_q2_k(const std::uint8_t* group, std::size_t lane, float* values) {
  for (std::size_t j = 0; j < 8; ++j) {
    const std::uint8_t* const part = group + 64 + j * 160;
    for (std::size_t k = 0; k < kPackedBlock; ++k) {
      const int both = part[k / 16 * 16 + lane];
      const float scale = half(group, lane) * static_cast<float>(both & 15), least = half(group + 32, lane) * static_cast<float>(both >> 4);
      values[32 * j + k] = scale * static_cast<float>(two(part + 32, lane, k)) - least;
    }
  }
}

constexpr PackedForm kForms[] = {
    {Type::q8_0, Type::q8_0_x16, PackedFormat::q8_0, pack_q8_0, unpack_q8_0},
    {Type::q4_0, Type::q4_0_x16, PackedFormat::q4_0, pack_q4_0, unpack_q4_0},
    {Type::q4_k, Type::q4_k_x16, PackedFormat::q4_k, SixBitScales<false>::pack, SixBitScales<false>::unpack},
    {Type::q6_k, Type::q6_k_x16, PackedFormat::q6_k, pack_q6_k, unpack_q6_k},
    {Type::q4_1, Type::q4_1_x16, PackedFormat::q4_1, pack_q4_1, unpack_q4_1},
    {Type::q5_0, Type::q5_0_x16, PackedFormat::q5_0, pack_q5_0, unpack_q5_0},
    {Type::q5_1, Type::q5_1_x16, PackedFormat::q5_1, pack_q5_1, unpack_q5_1},
    {Type::q2_k, Type::q2_k_x16, PackedFormat::q2_k, pack_q2_k, unpack_q2_k},
    {Type::q3_k, Type::q3_k_x16, PackedFormat::q3_k, pack_q3_k, unpack_q3_k},
    {Type::q5_k, Type::q5_k_x16, PackedFormat::q5_k, SixBitScales<true>::pack, SixBitScales<true>::unpack},
};

}  // namespace

std::span<const PackedForm> packed_forms() { return kForms; }

}  // namespace starling::core

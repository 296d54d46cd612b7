// What one block of 32 columns of a packed matrix adds to a tile of sums, for every form. `Isa` has 16 lanes:
//   Ints, Floats   16 of 32 bits        Codes   64 bytes        Quad   four activations, in every lane
//   field<s, m>(codes)       every byte moved s bits up (or -s down), then only its bits m, all of them bits of that byte
//   dot(sum, codes, quad)    sum + the four products of a lane, codes 0..127
//   dot_wide, start_wide     the same for codes that stand for code - 128, begun with the sum of all activations
//   kGroups, kRows           groups and rows of a register tile
// Included after the target of the instruction set is chosen; an Isa lives in an unnamed namespace, and everything
// here is a template on it, so that no function compiled for one processor is linked into another's path.
#pragma once

#include "core/ops/packed_layout.h"

#define STARLING_INLINE inline __attribute__((always_inline))

namespace starling::core {

template <class Isa, int kGroups, int kRows>
struct PackedTile {
  typename Isa::Floats sum[kGroups][kRows];
};

// How the codes of a part lie: quads<F> gives those of columns 4 F.. and 16 + 4 F.., F 0..3.

struct FourBits {
  static constexpr std::size_t kBytes = 256;
  template <class Isa, int F>
  static STARLING_INLINE void quads(const std::uint8_t* p, typename Isa::Codes& first, typename Isa::Codes& second) {
    const typename Isa::Codes pairs = Isa::load(p + F * 64);
    first = Isa::template field<0, 15>(pairs);
    second = Isa::template field<-4, 15>(pairs);
  }
};

/// A plane of 64 bytes after the nibbles: bit q of a byte belongs to quad q.
struct FiveBits {
  static constexpr std::size_t kBytes = 320;
  template <class Isa, int F>
  static STARLING_INLINE void quads(const std::uint8_t* p, typename Isa::Codes& first, typename Isa::Codes& second) {
    FourBits::quads<Isa, F>(p, first, second);
    const typename Isa::Codes plane = Isa::load(p + 256);
    first = Isa::either(first, Isa::template field<4 - F, 16>(plane));
    second = Isa::either(second, Isa::template field<-F, 16>(plane));
  }
};

/// Two planes after the nibbles: bits 2F, 2F+1 belong to quad F in the first, to quad 4 + F in the second.
struct SixBits {
  static constexpr std::size_t kBytes = 384;
  template <class Isa, int F>
  static STARLING_INLINE void quads(const std::uint8_t* p, typename Isa::Codes& first, typename Isa::Codes& second) {
    FourBits::quads<Isa, F>(p, first, second);
    first = Isa::either(first, Isa::template field<4 - 2 * F, 48>(Isa::load(p + 256)));
    second = Isa::either(second, Isa::template field<4 - 2 * F, 48>(Isa::load(p + 320)));
  }
};

/// The two planes of SixBits alone.
struct TwoBits {
  static constexpr std::size_t kBytes = 128;
  template <class Isa, int F>
  static STARLING_INLINE void quads(const std::uint8_t* p, typename Isa::Codes& first, typename Isa::Codes& second) {
    first = Isa::template field<-2 * F, 3>(Isa::load(p));
    second = Isa::template field<-2 * F, 3>(Isa::load(p + 64));
  }
};

/// Those, and the plane of FiveBits.
struct ThreeBits {
  static constexpr std::size_t kBytes = 192;
  template <class Isa, int F>
  static STARLING_INLINE void quads(const std::uint8_t* p, typename Isa::Codes& first, typename Isa::Codes& second) {
    TwoBits::quads<Isa, F>(p, first, second);
    const typename Isa::Codes plane = Isa::load(p + 128);
    first = Isa::either(first, Isa::template field<2 - F, 4>(plane));
    second = Isa::either(second, Isa::template field<-2 - F, 4>(plane));
  }
};

/// Adds quads F of a part to the sums of its first and its second 16 columns, which may be the same.
template <class Isa, class Bits, int F, int G, int N>
STARLING_INLINE void add_quads(const std::uint8_t* p, std::size_t group_bytes, const PackedActivations* x, typename Isa::Ints (&first)[G][N],
                               typename Isa::Ints (&second)[G][N]) {
  typename Isa::Codes low[G], high[G];
#pragma GCC unroll 8
  for (int g = 0; g < G; ++g) Bits::template quads<Isa, F>(p + g * group_bytes, low[g], high[g]);
#pragma GCC unroll 8
  for (int r = 0; r < N; ++r) {
    const typename Isa::Quad a = Isa::quad(x[r].codes + 4 * F), b = Isa::quad(x[r].codes + 16 + 4 * F);
#pragma GCC unroll 8
    for (int g = 0; g < G; ++g) first[g][r] = Isa::dot(first[g][r], low[g], a);
#pragma GCC unroll 8
    for (int g = 0; g < G; ++g) second[g][r] = Isa::dot(second[g][r], high[g], b);
  }
}

/// The exact sums of a part whose codes begin at p; `zero` is the code that stands for 0.
template <class Isa, class Bits, int G, int N>
STARLING_INLINE void part_dots(const std::uint8_t* p, std::size_t group_bytes, int zero, const PackedActivations* x, typename Isa::Ints (&dots)[G][N]) {
#pragma GCC unroll 8
  for (int r = 0; r < N; ++r)
#pragma GCC unroll 8
    for (int g = 0; g < G; ++g) dots[g][r] = Isa::splat(-zero * x[r].sum);
  add_quads<Isa, Bits, 0, G, N>(p, group_bytes, x, dots, dots);
  add_quads<Isa, Bits, 1, G, N>(p, group_bytes, x, dots, dots);
  add_quads<Isa, Bits, 2, G, N>(p, group_bytes, x, dots, dots);
  add_quads<Isa, Bits, 3, G, N>(p, group_bytes, x, dots, dots);
}

/// The same of each half.
template <class Isa, class Bits, int G, int N>
STARLING_INLINE void half_dots(const std::uint8_t* p, std::size_t group_bytes, int zero, const PackedActivations* x, typename Isa::Ints (&first)[G][N],
                               typename Isa::Ints (&second)[G][N]) {
#pragma GCC unroll 8
  for (int r = 0; r < N; ++r)
#pragma GCC unroll 8
    for (int g = 0; g < G; ++g) first[g][r] = Isa::splat(-zero * x[r].half_sum), second[g][r] = Isa::splat(-zero * (x[r].sum - x[r].half_sum));
  add_quads<Isa, Bits, 0, G, N>(p, group_bytes, x, first, second);
  add_quads<Isa, Bits, 1, G, N>(p, group_bytes, x, first, second);
  add_quads<Isa, Bits, 2, G, N>(p, group_bytes, x, first, second);
  add_quads<Isa, Bits, 3, G, N>(p, group_bytes, x, first, second);
}

/// Adds exact sums of blocks whose scales are at p.
template <class Isa, int G, int N>
STARLING_INLINE void add_scaled(const std::uint8_t* p, std::size_t group_bytes, const PackedActivations* x, const typename Isa::Ints (&dots)[G][N],
                                PackedTile<Isa, G, N>& tile) {
#pragma GCC unroll 8
  for (int g = 0; g < G; ++g) {
    const typename Isa::Floats scale = Isa::halves(p + g * group_bytes);
#pragma GCC unroll 8
    for (int r = 0; r < N; ++r) tile.sum[g][r] = Isa::fma(Isa::floats(dots[g][r]), Isa::mul(scale, Isa::splat(x[r].scale)), tile.sum[g][r]);
  }
}

/// Codes of eight bits, code + 128, with a scale.
struct PackedQ80 {
  static constexpr std::size_t kBlockBytes = 544, kBytesPerBlock = kBlockBytes;  // of a group

  template <class Isa, int G, int N>
  static STARLING_INLINE void add_block(const std::uint8_t* w, std::size_t group_bytes, std::size_t block, const PackedActivations* x,
                                        PackedTile<Isa, G, N>& tile) {
    const std::uint8_t* p = w + block * kBlockBytes;
    typename Isa::Ints dots[G][N];
#pragma GCC unroll 8
    for (int r = 0; r < N; ++r)
#pragma GCC unroll 8
      for (int g = 0; g < G; ++g) dots[g][r] = Isa::start_wide(x[r].sum);
#pragma GCC unroll 8
    for (int q = 0; q < 8; ++q) {
      typename Isa::Codes codes[G];
#pragma GCC unroll 8
      for (int g = 0; g < G; ++g) codes[g] = Isa::load(p + g * group_bytes + 32 + q * 64);
#pragma GCC unroll 8
      for (int r = 0; r < N; ++r) {
        const typename Isa::Quad quad = Isa::quad(x[r].codes + 4 * q);
#pragma GCC unroll 8
        for (int g = 0; g < G; ++g) dots[g][r] = Isa::dot_wide(dots[g][r], codes[g], quad);
      }
    }
    add_scaled<Isa, G, N>(p, group_bytes, x, dots, tile);
  }
};

/// A scale for every block, and a code that stands for zero.
template <class Bits, int kZero>
struct PackedSymmetric {
  static constexpr std::size_t kBlockBytes = 32 + Bits::kBytes, kBytesPerBlock = kBlockBytes;

  template <class Isa, int G, int N>
  static STARLING_INLINE void add_block(const std::uint8_t* w, std::size_t group_bytes, std::size_t block, const PackedActivations* x,
                                        PackedTile<Isa, G, N>& tile) {
    const std::uint8_t* p = w + block * kBlockBytes;
    typename Isa::Ints dots[G][N];
    part_dots<Isa, Bits, G, N>(p + 32, group_bytes, kZero, x, dots);
    add_scaled<Isa, G, N>(p, group_bytes, x, dots, tile);
  }
};

/// A scale and a least value for every block.
template <class Bits>
struct PackedAffine {
  static constexpr std::size_t kBlockBytes = 64 + Bits::kBytes, kBytesPerBlock = kBlockBytes;

  template <class Isa, int G, int N>
  static STARLING_INLINE void add_block(const std::uint8_t* w, std::size_t group_bytes, std::size_t block, const PackedActivations* x,
                                        PackedTile<Isa, G, N>& tile) {
    const std::uint8_t* p = w + block * kBlockBytes;
    typename Isa::Ints dots[G][N];
    part_dots<Isa, Bits, G, N>(p + 64, group_bytes, 0, x, dots);
    add_scaled<Isa, G, N>(p, group_bytes, x, dots, tile);
#pragma GCC unroll 8
    for (int g = 0; g < G; ++g) {
      const typename Isa::Floats least = Isa::halves(p + g * group_bytes + 32);
#pragma GCC unroll 8
      for (int r = 0; r < N; ++r) tile.sum[g][r] = Isa::fma(least, Isa::splat(x[r].scaled_sum), tile.sum[g][r]);
    }
  }
};

/// Eight parts share a scale of their scales and one of what is subtracted.
template <class Bits>
struct PackedAffineParts {
  static constexpr std::size_t kParts = 8, kPartBytes = 32 + Bits::kBytes, kSuperBytes = 64 + kParts * kPartBytes;
  static constexpr std::size_t kBytesPerBlock = kSuperBytes / kParts;

  template <class Isa, int G, int N>
  static STARLING_INLINE void add_block(const std::uint8_t* w, std::size_t group_bytes, std::size_t block, const PackedActivations* x,
                                        PackedTile<Isa, G, N>& tile) {
    const std::uint8_t* super = w + block / kParts * kSuperBytes;
    const std::uint8_t* part = super + 64 + block % kParts * kPartBytes;
    typename Isa::Ints dots[G][N];
    part_dots<Isa, Bits, G, N>(part + 32, group_bytes, 0, x, dots);
#pragma GCC unroll 8
    for (int g = 0; g < G; ++g) {
      const std::size_t at = g * group_bytes;
      const typename Isa::Floats scale = Isa::mul(Isa::halves(super + at), Isa::bytes(part + at));
      const typename Isa::Floats least = Isa::mul(Isa::halves(super + at + 32), Isa::bytes(part + at + 16));
#pragma GCC unroll 8
      for (int r = 0; r < N; ++r) {
        tile.sum[g][r] = Isa::fma(Isa::floats(dots[g][r]), Isa::mul(scale, Isa::splat(x[r].scale)), tile.sum[g][r]);
        tile.sum[g][r] = Isa::fma(least, Isa::splat(-x[r].scaled_sum), tile.sum[g][r]);
      }
    }
  }
};

/// Eight parts share a scale of the scales of their halves. Those enter as integers: |sum| < 2^24, so that their sum
/// is still exact.
template <class Bits, int kZero>
struct PackedHalves {
  static constexpr std::size_t kParts = 8, kPartBytes = 32 + Bits::kBytes, kSuperBytes = 32 + kParts * kPartBytes;
  static constexpr std::size_t kBytesPerBlock = kSuperBytes / kParts;

  template <class Isa, int G, int N>
  static STARLING_INLINE void add_block(const std::uint8_t* w, std::size_t group_bytes, std::size_t block, const PackedActivations* x,
                                        PackedTile<Isa, G, N>& tile) {
    const std::uint8_t* super = w + block / kParts * kSuperBytes;
    const std::uint8_t* part = super + 32 + block % kParts * kPartBytes;
    typename Isa::Ints first[G][N], second[G][N];
    half_dots<Isa, Bits, G, N>(part + 32, group_bytes, kZero, x, first, second);
#pragma GCC unroll 8
    for (int g = 0; g < G; ++g) {
      const std::size_t at = g * group_bytes;
      const typename Isa::Ints a = Isa::signed_bytes(part + at), b = Isa::signed_bytes(part + at + 16);
      const typename Isa::Floats scale = Isa::halves(super + at);
#pragma GCC unroll 8
      for (int r = 0; r < N; ++r) {
        const typename Isa::Ints sum = Isa::sum_of_products(first[g][r], a, second[g][r], b);
        tile.sum[g][r] = Isa::fma(Isa::floats(sum), Isa::mul(scale, Isa::splat(x[r].scale)), tile.sum[g][r]);
      }
    }
  }
};

/// The same, with what every half subtracts: scales are the low nibbles, that the high ones.
struct PackedQ2K {
  static constexpr std::size_t kParts = 8, kPartBytes = 32 + TwoBits::kBytes, kSuperBytes = 64 + kParts * kPartBytes;
  static constexpr std::size_t kBytesPerBlock = kSuperBytes / kParts;

  template <class Isa, int G, int N>
  static STARLING_INLINE void add_block(const std::uint8_t* w, std::size_t group_bytes, std::size_t block, const PackedActivations* x,
                                        PackedTile<Isa, G, N>& tile) {
    const std::uint8_t* super = w + block / kParts * kSuperBytes;
    const std::uint8_t* part = super + 64 + block % kParts * kPartBytes;
    typename Isa::Ints first[G][N], second[G][N];
    half_dots<Isa, TwoBits, G, N>(part + 32, group_bytes, 0, x, first, second);
#pragma GCC unroll 8
    for (int g = 0; g < G; ++g) {
      const std::size_t at = g * group_bytes;
      typename Isa::Ints scale_a, least_a, scale_b, least_b;
      Isa::nibble_ints(part + at, scale_a, least_a);
      Isa::nibble_ints(part + at + 16, scale_b, least_b);
      const typename Isa::Floats scale = Isa::halves(super + at), least = Isa::halves(super + at + 32);
#pragma GCC unroll 8
      for (int r = 0; r < N; ++r) {
        const typename Isa::Ints sum = Isa::sum_of_products(first[g][r], scale_a, second[g][r], scale_b);
        const typename Isa::Ints taken = Isa::sum_of_products(Isa::splat(x[r].half_sum), least_a, Isa::splat(x[r].sum - x[r].half_sum), least_b);
        tile.sum[g][r] = Isa::fma(Isa::floats(sum), Isa::mul(scale, Isa::splat(x[r].scale)), tile.sum[g][r]);
        tile.sum[g][r] = Isa::fma(Isa::floats(taken), Isa::mul(least, Isa::splat(-x[r].scale)), tile.sum[g][r]);
      }
    }
  }
};

using PackedQ40 = PackedSymmetric<FourBits, 8>;
using PackedQ41 = PackedAffine<FourBits>;
using PackedQ50 = PackedSymmetric<FiveBits, 16>;
using PackedQ51 = PackedAffine<FiveBits>;
using PackedQ3K = PackedHalves<ThreeBits, 4>;
using PackedQ4K = PackedAffineParts<FourBits>;
using PackedQ5K = PackedAffineParts<FiveBits>;
using PackedQ6K = PackedHalves<SixBits, 32>;

}  // namespace starling::core

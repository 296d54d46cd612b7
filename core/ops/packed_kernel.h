// The product on packed weights, written once for all instruction sets. `Isa` has 16 lanes:
//   Ints, Floats   16 of 32 bits        Codes   64 bytes        Quad   four activations, in every lane
//   dot(sum, codes, quad)    sum + the four products of a lane, codes 0..127
//   dot_wide, start_wide     the same for codes that stand for code - 128, begun with the sum of all activations
//   high_bits<f>             codes with bits 2f, 2f+1 of `high` as their bits 4, 5
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

struct PackedQ8 {
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

  template <class Isa, int G, int N>
  static STARLING_INLINE void add_scaled(const std::uint8_t* p, std::size_t group_bytes, const PackedActivations* x,
                                         const typename Isa::Ints (&dots)[G][N], PackedTile<Isa, G, N>& tile) {
#pragma GCC unroll 8
    for (int g = 0; g < G; ++g) {
      const typename Isa::Floats scale = Isa::halves(p + g * group_bytes);
#pragma GCC unroll 8
      for (int r = 0; r < N; ++r)
        tile.sum[g][r] = Isa::fma(Isa::floats(dots[g][r]), Isa::mul(scale, Isa::splat(x[r].scale)), tile.sum[g][r]);
    }
  }
};

struct PackedQ4 {
  static constexpr std::size_t kBlockBytes = 288, kBytesPerBlock = kBlockBytes;

  /// The exact sums of a block whose nibbles begin at p; `zero` is the code that stands for 0.
  template <class Isa, int G, int N>
  static STARLING_INLINE void nibble_dots(const std::uint8_t* p, std::size_t group_bytes, int zero, const PackedActivations* x,
                                          typename Isa::Ints (&dots)[G][N]) {
#pragma GCC unroll 8
    for (int r = 0; r < N; ++r)
#pragma GCC unroll 8
      for (int g = 0; g < G; ++g) dots[g][r] = Isa::splat(-zero * x[r].sum);
#pragma GCC unroll 8
    for (int q = 0; q < 4; ++q) {
      typename Isa::Codes low[G], high[G];
#pragma GCC unroll 8
      for (int g = 0; g < G; ++g) Isa::nibbles(Isa::load(p + g * group_bytes + q * 64), low[g], high[g]);
#pragma GCC unroll 8
      for (int r = 0; r < N; ++r) {
        const typename Isa::Quad a = Isa::quad(x[r].codes + 4 * q), b = Isa::quad(x[r].codes + 16 + 4 * q);
#pragma GCC unroll 8
        for (int g = 0; g < G; ++g) dots[g][r] = Isa::dot(dots[g][r], low[g], a);
#pragma GCC unroll 8
        for (int g = 0; g < G; ++g) dots[g][r] = Isa::dot(dots[g][r], high[g], b);
      }
    }
  }

  template <class Isa, int G, int N>
  static STARLING_INLINE void add_block(const std::uint8_t* w, std::size_t group_bytes, std::size_t block, const PackedActivations* x,
                                        PackedTile<Isa, G, N>& tile) {
    const std::uint8_t* p = w + block * kBlockBytes;
    typename Isa::Ints dots[G][N];
    nibble_dots<Isa, G, N>(p + 32, group_bytes, 8, x, dots);
    PackedQ8::add_scaled<Isa, G, N>(p, group_bytes, x, dots, tile);
  }
};

struct PackedQ4K {
  static constexpr std::size_t kSuperBytes = 2368, kPartBytes = 288, kParts = 8, kBytesPerBlock = kSuperBytes / kParts;

  template <class Isa, int G, int N>
  static STARLING_INLINE void add_block(const std::uint8_t* w, std::size_t group_bytes, std::size_t block, const PackedActivations* x,
                                        PackedTile<Isa, G, N>& tile) {
    const std::uint8_t* super = w + block / kParts * kSuperBytes;
    const std::uint8_t* part = super + 64 + block % kParts * kPartBytes;
    typename Isa::Ints dots[G][N];
    PackedQ4::nibble_dots<Isa, G, N>(part + 32, group_bytes, 0, x, dots);
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

struct PackedQ6K {
  static constexpr std::size_t kSuperBytes = 3360, kPartBytes = 416, kParts = 8, kBytesPerBlock = kSuperBytes / kParts;

  template <class Isa, int F, int G, int N>
  static STARLING_INLINE void add_quads(const std::uint8_t* part, std::size_t group_bytes, const PackedActivations* x,
                                        typename Isa::Ints (&first)[G][N], typename Isa::Ints (&second)[G][N]) {
    typename Isa::Codes low[G], high[G];
#pragma GCC unroll 8
    for (int g = 0; g < G; ++g) {
      const std::uint8_t* p = part + g * group_bytes + 32;
      Isa::nibbles(Isa::load(p + F * 64), low[g], high[g]);
      low[g] = Isa::template high_bits<F>(low[g], Isa::load(p + 256));
      high[g] = Isa::template high_bits<F>(high[g], Isa::load(p + 320));
    }
#pragma GCC unroll 8
    for (int r = 0; r < N; ++r) {
      const typename Isa::Quad a = Isa::quad(x[r].codes + 4 * F), b = Isa::quad(x[r].codes + 16 + 4 * F);
#pragma GCC unroll 8
      for (int g = 0; g < G; ++g) first[g][r] = Isa::dot(first[g][r], low[g], a);
#pragma GCC unroll 8
      for (int g = 0; g < G; ++g) second[g][r] = Isa::dot(second[g][r], high[g], b);
    }
  }

  /// The scales of both halves enter as integers: |sum| < 2^24, so that their sum is still exact.
  template <class Isa, int G, int N>
  static STARLING_INLINE void add_block(const std::uint8_t* w, std::size_t group_bytes, std::size_t block, const PackedActivations* x,
                                        PackedTile<Isa, G, N>& tile) {
    const std::uint8_t* super = w + block / kParts * kSuperBytes;
    const std::uint8_t* part = super + 32 + block % kParts * kPartBytes;
    typename Isa::Ints first[G][N], second[G][N];
#pragma GCC unroll 8
    for (int r = 0; r < N; ++r)
#pragma GCC unroll 8
      for (int g = 0; g < G; ++g) first[g][r] = Isa::splat(-32 * x[r].half_sum), second[g][r] = Isa::splat(-32 * (x[r].sum - x[r].half_sum));
    add_quads<Isa, 0, G, N>(part, group_bytes, x, first, second);
    add_quads<Isa, 1, G, N>(part, group_bytes, x, first, second);
    add_quads<Isa, 2, G, N>(part, group_bytes, x, first, second);
    add_quads<Isa, 3, G, N>(part, group_bytes, x, first, second);
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

template <class Isa, class Format>
class PackedKernel {
 public:
  static std::int32_t product(const PackedJob& job, std::size_t begin, std::size_t end) {
    std::int32_t largest = 0;
    for (std::size_t row = 0; row < job.rows; row += kBlockRows) {
      const std::size_t rows = job.rows - row < kBlockRows ? job.rows - row : kBlockRows;
      std::size_t group = begin;
      for (; group + Isa::kGroups <= end; group += Isa::kGroups) panel<Isa::kGroups>(job, group, row, rows, largest);
      for (; group < end; ++group) panel<1>(job, group, row, rows, largest);
    }
    return largest;
  }

 private:
  static constexpr std::size_t kBlockRows = 32 * kPackedTileRows;  // whose activations stay in the second cache level
  static constexpr std::size_t kChunkBlocks = 16;  // whose weights stay in the first level for all these rows

  /// G groups from `group`, all units, rows [row, row + rows).
  template <int G>
  static void panel(const PackedJob& job, std::size_t group, std::size_t row, std::size_t rows, std::int32_t& largest) {
    constexpr std::size_t kWidth = G * kPackedLanes;
    alignas(64) float sums[kBlockRows * kWidth];
    alignas(64) double grid[kBlockRows * kWidth];
    const std::uint8_t* const w = job.weights + group * job.group_bytes;
    for (std::size_t unit = 0; unit < job.blocks; unit += job.unit_blocks) {
      const std::size_t unit_end = job.blocks - unit < job.unit_blocks ? job.blocks : unit + job.unit_blocks;
      const std::size_t step = rows > kPackedTileRows ? kChunkBlocks : job.blocks;
      for (std::size_t chunk = unit; chunk < unit_end; chunk += step) {
        const std::size_t count = unit_end - chunk < step ? unit_end - chunk : step;
        for (std::size_t r = 0; r < rows; r += kPackedTileRows) {
          const std::size_t tile_rows = rows - r < kPackedTileRows ? rows - r : kPackedTileRows;
          const PackedActivations* x = job.x + (row + r) * job.blocks + chunk * tile_rows;
          tile_rows_from<G>(w, job.group_bytes, job.first_block + chunk, count, x, tile_rows, chunk == unit, sums + r * kWidth);
        }
      }
      if (job.grid) add_to_grid(sums, rows * kWidth, unit == 0, grid, largest);
    }
    const std::size_t first = group * kPackedLanes;
    const std::size_t width = job.outputs - first < kWidth ? job.outputs - first : kWidth;
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < width; ++i) {
        const std::size_t at = (row + r) * job.outputs + first + i;
        if (job.grid)
          job.grid[at] = grid[r * kWidth + i];
        else
          job.plain[at] = sums[r * kWidth + i];
      }
  }

  /// As core/ops/grid.h says. Magnitudes are compared as integers, so that NaN stays the largest.
  static void add_to_grid(const float* sums, std::size_t count, bool first, double* grid, std::int32_t& largest) {
    constexpr double kRounder = 0x1.8p22;
    std::int32_t most = largest;
    for (std::size_t i = 0; i < count; ++i) {
      std::int32_t bits;
      __builtin_memcpy(&bits, sums + i, sizeof bits);
      bits &= 0x7fffffff;
      most = bits > most ? bits : most;
      const double rounded = (static_cast<double>(sums[i]) + kRounder) - kRounder;
      grid[i] = first ? rounded : grid[i] + rounded;
    }
    largest = most;
  }

  /// The rows of one tile, as many at a time as the registers hold.
  template <int G>
  static STARLING_INLINE void tile_rows_from(const std::uint8_t* w, std::size_t group_bytes, std::size_t block, std::size_t count,
                                             const PackedActivations* x, std::size_t rows, bool first, float* sums) {
    for (std::size_t r = 0; r < rows; r += Isa::kRows) {
      const std::size_t n = rows - r < Isa::kRows ? rows - r : Isa::kRows;
      tile_of<G, Isa::kRows>(n, w, group_bytes, block, count, x + r, rows, first, sums + r * G * kPackedLanes);
    }
  }

  template <int G, int N>
  static STARLING_INLINE void tile_of(std::size_t n, const std::uint8_t* w, std::size_t group_bytes, std::size_t block, std::size_t count,
                                      const PackedActivations* x, std::size_t stride, bool first, float* sums) {
    if constexpr (N > 1)
      if (n != N) return tile_of<G, N - 1>(n, w, group_bytes, block, count, x, stride, first, sums);
    tile<G, N>(w, group_bytes, block, count, x, stride, first, sums);
  }

  /// A single row is bound by memory, and the processor's own prefetching runs too short ahead of several streams.
  template <int G>
  static STARLING_INLINE void fetch_ahead(const std::uint8_t* p, std::size_t group_bytes) {
    constexpr std::size_t kAhead = 3072, kLine = 64;
#pragma GCC unroll 8
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 16
      for (std::size_t at = 0; at < Format::kBytesPerBlock; at += kLine) __builtin_prefetch(p + g * group_bytes + kAhead + at);
  }

  template <int G, int N>
  static __attribute__((noinline)) void tile(const std::uint8_t* w, std::size_t group_bytes, std::size_t block, std::size_t count,
                                             const PackedActivations* x, std::size_t stride, bool first, float* sums) {
    PackedTile<Isa, G, N> t;
#pragma GCC unroll 8
    for (int r = 0; r < N; ++r)
#pragma GCC unroll 8
      for (int g = 0; g < G; ++g)
        t.sum[g][r] = first ? Isa::splat(0.0f) : Isa::load_floats(sums + (static_cast<std::size_t>(r) * G + g) * kPackedLanes);
    for (std::size_t b = 0; b < count; ++b, x += stride) {
      if constexpr (N == 1) fetch_ahead<G>(w + (block + b) * Format::kBytesPerBlock, group_bytes);
      Format::template add_block<Isa, G, N>(w, group_bytes, block + b, x, t);
    }
#pragma GCC unroll 8
    for (int r = 0; r < N; ++r)
#pragma GCC unroll 8
      for (int g = 0; g < G; ++g) Isa::store_floats(t.sum[g][r], sums + (static_cast<std::size_t>(r) * G + g) * kPackedLanes);
  }
};

template <class Isa>
struct PackedTable {
  static constexpr PackedKernels named(const char* name) {
    return {name,
            {PackedKernel<Isa, PackedQ8>::product, PackedKernel<Isa, PackedQ4>::product, PackedKernel<Isa, PackedQ4K>::product,
             PackedKernel<Isa, PackedQ6K>::product},
            multiply_adds};
  }

  static std::int64_t multiply_adds(std::int64_t count) {
    constexpr int kSums = 12;
    constexpr std::int64_t kRound = kSums * 4 * static_cast<std::int64_t>(kPackedLanes);
    constexpr std::uint8_t kOnes[64] = {1, 1, 1, 1};
    const typename Isa::Codes codes = Isa::load(kOnes);
    const std::int8_t four[4] = {1, 2, 3, 4};
    typename Isa::Quad quad = Isa::quad(four);
    typename Isa::Ints sums[kSums];
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) sums[i] = Isa::splat(i);
    const std::int64_t rounds = count / kRound + 1;
    for (std::int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 12
      for (int i = 0; i < kSums; ++i) sums[i] = Isa::dot(sums[i], codes, quad);
    alignas(64) float results[kPackedLanes];
    alignas(64) volatile float kept[kSums];
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) {
      Isa::store_floats(Isa::floats(sums[i]), results);
      kept[i] = results[0];
    }
    return static_cast<void>(kept[0]), rounds * kRound;
  }
};

}  // namespace starling::core

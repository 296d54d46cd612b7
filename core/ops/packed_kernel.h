// The product on packed weights, written once for all instruction sets and forms: which rows and groups are computed
// when, so that weights are read once and activations stay in the caches. What a block adds is packed_formats.h.
#pragma once

#include "core/ops/packed_formats.h"

namespace starling::core {

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
            {PackedKernel<Isa, PackedQ80>::product, PackedKernel<Isa, PackedQ40>::product, PackedKernel<Isa, PackedQ4K>::product,
             PackedKernel<Isa, PackedQ6K>::product, PackedKernel<Isa, PackedQ41>::product, PackedKernel<Isa, PackedQ50>::product,
             PackedKernel<Isa, PackedQ51>::product, PackedKernel<Isa, PackedQ2K>::product, PackedKernel<Isa, PackedQ3K>::product,
             PackedKernel<Isa, PackedQ5K>::product},
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

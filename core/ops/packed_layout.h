// What the integer kernels work on. Plain data without the rest of the house, so that a kernel can be compiled
// alone for another processor.
//
// A packed matrix holds groups of 16 rows (outputs), one in each 32-bit lane of 512 bits; four consecutive
// columns lie in the four bytes of a lane. A group is a sequence of blocks of 32 columns:
//   q8_0_x16   binary16 scale[16]; u8 code + 128 [8 quads of columns][16 lanes][4 columns]
//   q4_0_x16   binary16 scale[16]; u8 pair[4][16][4]: low nibbles are quads 0..3, high ones quads 4..7; 8 is zero
//   q4_1_x16   binary16 scale[16], least[16]; u8 pair[4][16][4]
//   q5_0_x16   binary16 scale[16]; u8 pair[4][16][4], fifth[16][4], whose bit q belongs to quad q; 16 is zero
//   q5_1_x16   binary16 scale[16], least[16]; u8 pair[4][16][4], fifth[16][4]
// and of K-quants one of 256 columns, with eight parts of 32:
//   q4_k_x16   binary16 scale[16], scale_of_min[16]; eight of { u8 scale[16], min[16]; u8 pair[4][16][4] }
//   q5_k_x16   the same, with u8 fifth[16][4] at the end of a part
//   q6_k_x16   binary16 scale[16]; eight of { i8 scale of columns 0..15 [16], of 16..31 [16]; u8 low pair[4][16][4];
//              u8 high[2][16][4] }, whose bits 2f, 2f+1 belong to quad f (then 4 + f); 32 is zero
//   q3_k_x16   the same with u8 low[2][16][4], third[16][4], whose bit q belongs to quad q, as codes; 4 is zero
//   q2_k_x16   binary16 scale[16], scale_of_min[16]; eight of { u8 scale and min of columns 0..15 [16], of 16..31 [16],
//              low and high nibbles; u8 low[2][16][4] }
// They take the bytes of the file's own form, but for those of q3_k, q4_k and q5_k with 4 more for every 256 columns,
// as scales of 6 bits become bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace starling::core {

constexpr std::size_t kPackedLanes = 16;    // outputs of a group
constexpr std::size_t kPackedBlock = 32;    // columns that share a scale
constexpr std::size_t kPackedTileRows = 6;  // rows of a tile of activations

enum class PackedFormat : std::uint8_t { q8_0, q4_0, q4_k, q6_k, q4_1, q5_0, q5_1, q2_k, q3_k, q5_k };
constexpr std::size_t kPackedFormats = 10;

/// 32 activations of one row: code * scale. Rows are stored in tiles of up to six, the blocks of a tile's rows
/// beside each other: [tile][block][row of the tile].
struct PackedActivations {
  std::int8_t codes[kPackedBlock];  // -127..127
  float scale;
  float scaled_sum;       // scale * sum
  std::int32_t half_sum;  // of the first 16 codes
  std::int32_t sum;       // of all 32
};
static_assert(sizeof(PackedActivations) == 48);

/// y = x * transpose(w), or sums of units on the grid (ops/grid.h) when `grid` is set.
struct PackedJob {
  const std::uint8_t* weights = nullptr;
  std::size_t group_bytes = 0;
  std::size_t outputs = 0;
  std::size_t first_block = 0;  // of the matrix, that meets the first of x
  std::size_t blocks = 0;       // of 32 columns
  std::size_t unit_blocks = 0;  // of one F32 sum
  const PackedActivations* x = nullptr;
  std::size_t rows = 0;
  float* plain = nullptr;  // {rows, outputs}
  double* grid = nullptr;  // {rows, outputs}
};

/// Groups [begin, end) of the matrix. Returns the bits of the largest magnitude of a unit, 0 for a plain job.
using PackedProduct = std::int32_t (*)(const PackedJob& job, std::size_t begin, std::size_t end);

/// The kernels of one instruction set, by PackedFormat. All sets give the same bits: integer sums are exact, and
/// every output adds the blocks of a unit in order by fused multiply-add.
struct PackedKernels {
  const char* name;
  PackedProduct product[kPackedFormats];
  /// Runs about `count` integer multiply-adds as fast as they go, from registers; returns how many there were.
  std::int64_t (*multiply_adds)(std::int64_t count);
};

const PackedKernels& packed_scalar();
#if defined(__x86_64__)
const PackedKernels& packed_avx512();
const PackedKernels& packed_avx2();
#elif defined(__aarch64__)
const PackedKernels& packed_neon();
#endif

}  // namespace starling::core

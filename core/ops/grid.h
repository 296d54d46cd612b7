// Sums that do not depend on how they are partitioned. The columns of a product are cut into fixed units;
// the F32 sum p of each unit is rounded to the grid of multiples of 2^-30,
//     r = (double(p) + C) - C   with   C = 1.5 * 2^22,
// which is exact rounding while |p| < 2^21, as the doubles from 2^22 to 2^23 lie 2^-30 apart. Multiples of
// 2^-30 up to 2^23 in magnitude are exact in the 53 bits of a double. So if no unit of a model's sum exceeds
// grid_limit(units), with units * limit <= 2^23, then no partial sum in any order rounds: addition is
// associative, and any partition, algorithm and order of arrival gives the same bits.
#pragma once

#include <cstdint>
#include <span>

#include "core/pool.h"
#include "core/tensor.h"

namespace starling::core {

/// Room for the largest sum.
constexpr double kGridSumMax = 0x1p23;
/// Adding and subtracting this rounds to the grid.
constexpr double kGridRounder = 0x1.8p22;

/// The largest magnitude that a unit may have where a whole sum, over all ranks, has `units` of them: a power
/// of two, 2^20 at most.
constexpr float grid_limit(std::int64_t units) {
  double limit = 0x1p20;
  while (static_cast<double>(units) * limit > kGridSumMax) limit /= 2;
  return static_cast<float>(limit);
}

/// out[row][output] = sum of the grid-rounded units of `unit` columns (the last may be shorter); otherwise as
/// matmul(). `unit` is a multiple of 32, or of anything where the weights have no
/// blocks. Returns the largest magnitude of a unit, NaN
/// if one is NaN: unless it is <= grid_limit() the sums are void.
float matmul_grid(const Tensor& w, std::int64_t unit, std::span<const float> x, std::int64_t rows, std::span<double> out,
                  Pool& pool, std::int64_t first = 0);

}  // namespace starling::core

// The gradient of weights that many rows share: sums of outer products of the rows of tall matrices.
#pragma once

#include <cstdint>
#include <span>

#include "core/pool.h"

namespace starling::core {

/// c {a's columns, columns} += the sum over rows k of outer(row k of a, row k - late of b), where b's rows before its
/// first are zeros: inputs come with the gradient of their own step, outputs with that of the next.
struct OuterSum {
  const float* b;  // row-major
  std::int64_t columns, late;
  float* c;
};

/// All `sums`, and a_sum {columns} += the sum of a's rows. a {rows, columns}. Every element is one chain in the order of
/// the rows, of fused multiply-adds for c: the same bits for any number of threads.
void add_outer_sums(const float* a, std::int64_t rows, std::int64_t columns, std::span<const OuterSum> sums, std::span<float> a_sum, Pool& pool);

}  // namespace starling::core

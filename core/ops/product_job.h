// What the product kernels work on, and how outputs are shared among threads.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "core/error.h"
#include "core/pool.h"
#include "core/tensor.h"

namespace starling::core {

/// x: {rows, columns}, weights: outputs rows of `row_bytes`, of which columns [first, first + columns) count; sums are
/// taken over units of `unit` columns.
struct ProductJob {
  Type type = Type::f32;
  const std::byte* weights = nullptr;
  std::size_t row_bytes = 0;
  std::size_t first = 0;
  std::size_t columns = 0;
  std::size_t unit = 0;
  const float* x = nullptr;
  std::size_t rows = 0;
};

/// What is multiplied of a matrix: the columns of x from column `first` on, a multiple of 32 unless it is 0, in units
/// that are multiples of 32 (of any number of columns where the matrix has no blocks), or all columns.
struct ProductColumns {
  std::int64_t unit, first;
};

/// Kind::internal unless the sizes agree.
ProductJob product_job(const Tensor& weights, const ProductColumns& columns, std::span<const float> x, std::int64_t rows,
                       std::size_t results);

/// body(begin, end) over ranges of outputs that are worth a thread's while.
template <class Body>
void share_outputs(const ProductJob& job, std::int64_t outputs, Pool& pool, const Body& body) {
  constexpr std::size_t kWorthwhile = 1 << 15;  // multiply-adds: about a microsecond
  const std::size_t grain = kWorthwhile / (job.rows * job.columns) / 4 * 4 + 8;
  pool.parallel_for(outputs, static_cast<std::int64_t>(grain), std::ref(body));
}

}  // namespace starling::core

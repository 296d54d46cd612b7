// Matrix products with stored weights: y = x * transpose(w).
#pragma once

#include <cstdint>
#include <span>

#include "core/pool.h"
#include "core/tensor.h"

namespace starling::core {

/// w: {outputs, columns} of any type; x: {rows, columns}; y: {rows, outputs}. Where x has fewer columns, those of w
/// from `first` on count, a multiple of 32. Each output is one F32 sum over
/// the columns (simd.h), with the same bits for any number of rows and threads, and for any type the bits of
/// its dequantised weights. Kind::internal unless the sizes agree.
void matmul(const Tensor& w, std::span<const float> x, std::int64_t rows, std::span<float> y, Pool& pool, std::int64_t first = 0);

}  // namespace starling::core

// Matrices packed for the integer kernels, and products with them. Weights keep their stored codes, activations
// become 8-bit integers (packed_activations.h): every result is a sum over blocks of 32 columns of an exact integer
// sum times both scales, added in order by fused multiply-add. So it has the same bits for any number of rows and
// threads and on every instruction set, but differs from that of matmul() with the matrix as the file has it, whose
// activations are floats.
#pragma once

#include <cstdint>
#include <span>

#include "core/pool.h"
#include "core/tensor.h"

namespace starling::core {

/// Whether `type` has a packed form, and whether it is one.
bool is_packable(Type type);
bool is_packed(Type type);

/// The packed form of a matrix of a packable type. A matrix in a mapped file leaves memory as it is read, so that its
/// weights are not held twice.
Tensor pack_matrix(const Tensor& matrix, Pool& pool);

/// Row `row` of a packed matrix, as dequantize() gives it for the form in the file.
void packed_row(const Tensor& packed, std::int64_t row, std::span<float> values);

/// matmul() and matmul_grid() with a packed matrix.
void packed_matmul(const Tensor& w, std::span<const float> x, std::int64_t rows, std::span<float> y, Pool& pool, std::int64_t first = 0);
float packed_matmul_grid(const Tensor& w, std::int64_t unit, std::span<const float> x, std::int64_t rows, std::span<double> out, Pool& pool,
                         std::int64_t first = 0);

}  // namespace starling::core

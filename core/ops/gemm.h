// F32 matrix products for training. Every element of the result is one chain of fused multiply-adds over the summed
// dimension in ascending order (tile.h): the same bits for any other rows, columns, tiles and threads.
#pragma once

#include <cstdint>

#include "core/pool.h"

namespace starling::core {

/// Element (i, j) lies at data[i * row_stride + j * column_stride].
struct MatrixView {
  const float* data = nullptr;
  std::int64_t rows = 0, columns = 0;
  std::int64_t row_stride = 0, column_stride = 1;
};

inline MatrixView row_major(const float* data, std::int64_t rows, std::int64_t columns) {
  return {data, rows, columns, columns, 1};
}
inline MatrixView transposed(const MatrixView& m) {
  return {m.data, m.columns, m.rows, m.column_stride, m.row_stride};
}

/// c = a b, or c += a b with `accumulate` (the chain then begins with c). c: {a.rows, b.columns}, row-major, of its
/// own memory. Kind::internal unless a.columns == b.rows.
void gemm(const MatrixView& a, const MatrixView& b, float* c, bool accumulate, Pool& pool);

/// The same on this thread alone, for callers that share out larger pieces; rows of c lie c_stride apart.
void gemm_alone(const MatrixView& a, const MatrixView& b, float* c, std::int64_t c_stride, bool accumulate);

}  // namespace starling::core

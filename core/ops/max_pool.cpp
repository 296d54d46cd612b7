#include "core/ops/max_pool.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/max_pool.cpp"
#include <hwy/foreach_target.h>

#include "core/ops/simd.h"

// Rows are short, 14 or 7 values, and whole vectors are stored nevertheless: what falls beyond a row is the beginning of
// the next one, which is written after it. Only at the very end is less stored.
HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

HWY_INLINE void store_within(VF v, float* to, const float* end) {
  if (static_cast<std::size_t>(end - to) >= kLanes) return hn::StoreU(v, DF(), to);
  alignas(64) float values[kVirtual];
  hn::StoreU(v, DF(), values);
  std::copy(values, values + (end - to), to);
}

void max_pool_forward(const float* x, std::int64_t rows, std::int64_t columns, float* y, float* which) {
  const DF d;
  const float *y_end = y + rows * columns, *which_end = which + rows * columns;
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t column = 0; column < columns; column += static_cast<std::int64_t>(kLanes)) {
      const float* from = x + 4 * row * columns + 2 * column;
      VF best, right, lower_left, lower_right;
      hn::LoadInterleaved2(d, from, best, right);
      hn::LoadInterleaved2(d, from + 2 * columns, lower_left, lower_right);
      VF number = hn::Zero(d);
      const auto compare = [&](VF v, float n) {
        const auto larger = hn::Gt(v, best);
        best = hn::IfThenElse(larger, v, best);
        number = hn::IfThenElse(larger, hn::Set(d, n), number);
      };
      compare(right, 1);
      compare(lower_left, 2);
      compare(lower_right, 3);
      store_within(best, y + row * columns + column, y_end);
      store_within(number, which + row * columns + column, which_end);
    }
}

void max_pool_backward(const float* dy, const float* which, std::int64_t rows, std::int64_t columns, float* dx) {
  const DF d;
  const float* end = dx + 4 * rows * columns;
  for (std::int64_t row = 0; row < 2 * rows; ++row)
    for (std::int64_t column = 0; column < columns; column += static_cast<std::int64_t>(kLanes)) {
      const std::int64_t at = row / 2 * columns + column;
      const VF slope = hn::LoadU(d, dy + at), number = hn::LoadU(d, which + at), first = hn::Set(d, static_cast<float>(row % 2 * 2));
      const VF left = hn::IfThenElseZero(hn::Eq(number, first), slope);
      const VF right = hn::IfThenElseZero(hn::Eq(number, hn::Add(first, hn::Set(d, 1.0f))), slope);
      float* to = dx + 2 * (row * columns + column);
      if (end - to >= static_cast<std::ptrdiff_t>(2 * kLanes)) {
        hn::StoreInterleaved2(left, right, d, to);
      } else {
        alignas(64) float values[2 * kVirtual];
        hn::StoreInterleaved2(left, right, d, values);
        std::copy(values, values + (end - to), to);
      }
    }
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(max_pool_forward);
HWY_EXPORT(max_pool_backward);

void max_pool_blocks(const float* x, std::int64_t rows, std::int64_t columns, float* y, float* which) {
  HWY_DYNAMIC_DISPATCH(max_pool_forward)(x, rows, columns, y, which);
}

void max_pool_blocks_backward(const float* dy, const float* which, std::int64_t rows, std::int64_t columns, float* dx) {
  HWY_DYNAMIC_DISPATCH(max_pool_backward)(dy, which, rows, columns, dx);
}

}  // namespace starling::core
#endif

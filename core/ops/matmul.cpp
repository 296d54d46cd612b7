// Matrix products with stored weights; the kernel is product.h.
#include "core/ops/matmul.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/matmul.cpp"
#include <hwy/foreach_target.h>

#include "core/ops/packed.h"
#include "core/ops/product.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

/// One unit: every sum arrives once.
struct PlainSink {
  float* y;
  std::size_t stride;
  float sums[kRowBlock * kOutputs];

  void start(std::size_t) {}
  template <std::size_t kCount>
  HWY_INLINE void add(std::size_t first, const float (&values)[kCount]) {
    std::memcpy(sums + first, values, sizeof values);
  }
  void finish(std::size_t output, std::size_t outputs, std::size_t row, std::size_t rows) {
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t o = 0; o < outputs; ++o) y[(row + r) * stride + output + o] = sums[r * kOutputs + o];
  }
};

void matmul_range(const ProductJob& job, std::size_t begin, std::size_t end, float* y, std::size_t stride) {
  PlainSink sink{.y = y, .stride = stride, .sums = {}};
  product(job, begin, end, sink);
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(matmul_range);

void matmul(const Tensor& w, std::span<const float> x, std::int64_t rows, std::span<float> y, Pool& pool, std::int64_t first) {
  if (is_packed(w.type())) return packed_matmul(w, x, rows, y, pool, first);
  if (y.empty()) return;
  const ProductJob job = product_job(w, {w.columns(), first}, x, rows, y.size());
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(matmul_range)
    (job, static_cast<std::size_t>(begin), static_cast<std::size_t>(end), y.data(), static_cast<std::size_t>(w.rows()));
  };
  share_outputs(job, w.rows(), pool, body);
}

}  // namespace starling::core
#endif

// Root mean square normalisation; the sum of squares runs over the sixteen lanes of simd.h.
#include "core/ops/norm.h"

#include <cmath>
#include <functional>

#include "core/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/norm.cpp"
#include <hwy/foreach_target.h>

#include "core/ops/simd.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

float sum_of_squares(const float* x, std::size_t n) {
  V16 sum = zero16();
  std::size_t k = 0;
  for (; k + kVirtual <= n; k += kVirtual) {
    const V16 v = load16(x + k);
    add_product(sum, v, v);
  }
  if (k < n) {
    const V16 v = load_tail(x + k, n - k);
    add_product(sum, v, v);
  }
  return sum16(sum);
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(sum_of_squares);

void rms_norm(std::span<const float> x, std::int64_t rows, std::span<const float> gain, float epsilon, std::span<float> y,
              Pool& pool) {
  const std::size_t n = gain.size();
  ensure(n > 0 && x.size() == n * static_cast<std::size_t>(rows) && y.size() == x.size(), "sizes of a norm disagree");
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    for (auto row = static_cast<std::size_t>(begin); row < static_cast<std::size_t>(end); ++row) {
      const float* in = x.data() + row * n;
      float* out = y.data() + row * n;
      const float mean = HWY_DYNAMIC_DISPATCH(sum_of_squares)(in, n) / static_cast<float>(n);
      const float scale = 1.0f / std::sqrt(mean + epsilon);
      for (std::size_t i = 0; i < n; ++i) out[i] = in[i] * scale * gain[i];
    }
  };
  pool.parallel_for(rows, static_cast<std::int64_t>(1 + 16384 / n), std::ref(body));
}

}  // namespace starling::core
#endif

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

HWY_INLINE V16 times(const V16& a, const V16& b) {
  V16 r;
  for (std::size_t i = 0; i < kVectors; ++i) r.part[i] = hn::Mul(a.part[i], b.part[i]);
  return r;
}

HWY_INLINE V16 all(float value) {
  V16 r;
  for (std::size_t i = 0; i < kVectors; ++i) r.part[i] = hn::Set(DF(), value);
  return r;
}

/// visit(place, load): sixteen values at a time, the last ones padded with zeros.
template <class Visit>
HWY_INLINE void each16(std::size_t n, Visit visit) {
  std::size_t k = 0;
  for (; k + kVirtual <= n; k += kVirtual) visit(k, [](const float* p) { return load16(p); }, [](const V16& v, float* p) { store16(v, p); });
  if (k == n) return;
  visit(k, [&](const float* p) { return load_tail(p, n - k); },
        [&](const V16& v, float* p) {
          float padded[kVirtual];
          store16(v, padded);
          std::memcpy(p, padded, (n - k) * sizeof(float));
        });
}

/// dx += scale * (dy * gain - x * scale^2 / n * sum(dy * gain * x)).
void row_gradient(const float* x, const float* gain, const float* dy, float scale, std::size_t n, float* dx) {
  V16 sum = zero16();
  each16(n, [&](std::size_t k, auto load, auto) { add_product(sum, times(load(dy + k), load(gain + k)), load(x + k)); });
  const V16 lean = all(-sum16(sum) * scale * scale / static_cast<float>(n)), factor = all(scale);
  each16(n, [&](std::size_t k, auto load, auto store) {
    V16 slope = times(load(dy + k), load(gain + k)), result = load(dx + k);
    add_product(slope, load(x + k), lean);
    add_product(result, slope, factor);
    store(result, dx + k);
  });
}

/// d_gain += dy * x * scale.
void gain_gradient(const float* x, const float* dy, float scale, std::size_t n, float* d_gain) {
  const V16 factor = all(scale);
  each16(n, [&](std::size_t k, auto load, auto store) {
    V16 result = load(d_gain + k);
    add_product(result, times(load(dy + k), load(x + k)), factor);
    store(result, d_gain + k);
  });
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(sum_of_squares);
HWY_EXPORT(row_gradient);
HWY_EXPORT(gain_gradient);

namespace {

float scale_of(const float* row, std::size_t n, float epsilon) {
  return 1.0f / std::sqrt(HWY_DYNAMIC_DISPATCH(sum_of_squares)(row, n) / static_cast<float>(n) + epsilon);
}

}  // namespace

void rms_norm(std::span<const float> x, std::int64_t rows, std::span<const float> gain, float epsilon, std::span<float> y,
              Pool& pool) {
  const std::size_t n = gain.size();
  ensure(n > 0 && x.size() == n * static_cast<std::size_t>(rows) && y.size() == x.size(), "sizes of a norm disagree");
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    for (auto row = static_cast<std::size_t>(begin); row < static_cast<std::size_t>(end); ++row) {
      const float* in = x.data() + row * n;
      float* out = y.data() + row * n;
      const float scale = scale_of(in, n, epsilon);
      for (std::size_t i = 0; i < n; ++i) out[i] = in[i] * scale * gain[i];
    }
  };
  pool.parallel_for(rows, static_cast<std::int64_t>(1 + 16384 / n), std::ref(body));
}

void rms_norm_backward(std::span<const float> x, std::int64_t rows, std::span<const float> gain, float epsilon, std::span<const float> dy,
                       std::span<float> dx, std::span<float> d_gain, Pool& pool) {
  const std::size_t n = gain.size();
  ensure(n > 0 && x.size() == n * static_cast<std::size_t>(rows) && dy.size() == x.size() && d_gain.size() == n && (dx.empty() || dx.size() == x.size()),
         "sizes of a norm disagree");
  // One thread: every row adds to the same gains.
  for (std::size_t at = 0; at < x.size(); at += n)
    HWY_DYNAMIC_DISPATCH(gain_gradient)(x.data() + at, dy.data() + at, scale_of(x.data() + at, n, epsilon), n, d_gain.data());
  if (dx.empty()) return;
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    for (std::size_t at = static_cast<std::size_t>(begin) * n; at < static_cast<std::size_t>(end) * n; at += n)
      HWY_DYNAMIC_DISPATCH(row_gradient)(x.data() + at, gain.data(), dy.data() + at, scale_of(x.data() + at, n, epsilon), n, dx.data() + at);
  };
  pool.parallel_for(rows, static_cast<std::int64_t>(1 + 16384 / n), std::ref(body));
}

}  // namespace starling::core
#endif

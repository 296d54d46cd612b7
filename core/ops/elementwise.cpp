#include "core/ops/elementwise.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/elementwise.cpp"
#include <hwy/foreach_target.h>

#include "core/ops/functions.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

/// Calls visit(place, n) for whole vectors, and for the rest one value at a time through padded copies.
template <class Body>
HWY_INLINE void each_vector(std::size_t n, Body body) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, kLanes);
  if (i < n) body(i, n - i);
}

HWY_INLINE VF load_some(const float* p, std::size_t n) {
  if (n == kLanes) return hn::LoadU(DF(), p);
  alignas(64) float padded[kVirtual] = {};
  std::memcpy(padded, p, n * sizeof(float));
  return hn::LoadU(DF(), padded);
}

HWY_INLINE void store_some(VF v, float* p, std::size_t n) {
  if (n == kLanes) return hn::StoreU(v, DF(), p);
  alignas(64) float padded[kVirtual];
  hn::StoreU(v, DF(), padded);
  std::memcpy(p, padded, n * sizeof(float));
}

template <class F>
HWY_INLINE void map(const float* x, float* y, std::size_t n, F f) {
  each_vector(n, [&](std::size_t i, std::size_t m) { store_some(f(load_some(x + i, m)), y + i, m); });
}

constexpr float kHalfRoot = 0.70710678f;      // 1 / sqrt(2)
constexpr float kNormalPeak = 0.39894228f;    // 1 / sqrt(2 pi)

HWY_INLINE VF normal_distribution(VF x) {
  const DF d;
  const VF half = hn::Set(d, 0.5f);
  return hn::MulAdd(half, erf_lanes(hn::Mul(x, hn::Set(d, kHalfRoot))), half);
}

void activate_range(Activation f, const float* x, float* y, std::size_t n) {
  switch (f) {
    case Activation::relu: return map(x, y, n, [](VF v) { return hn::Max(v, hn::Zero(DF())); });
    case Activation::tanh: return map(x, y, n, [](VF v) { return tanh_lanes(v); });
    case Activation::sigmoid: return map(x, y, n, [](VF v) { return sigmoid_lanes(v); });
    case Activation::gelu: return map(x, y, n, [](VF v) { return hn::Mul(v, normal_distribution(v)); });
    case Activation::silu: return map(x, y, n, [](VF v) { return hn::Mul(v, sigmoid_lanes(v)); });
  }
}

template <class F>
HWY_INLINE void map_backward(const float* x, const float* y, const float* dy, float* dx, bool add, std::size_t n, F slope) {
  each_vector(n, [&](std::size_t i, std::size_t m) {
    const VF s = slope(load_some(x + i, m), load_some(y + i, m));
    store_some(hn::MulAdd(load_some(dy + i, m), s, add ? load_some(dx + i, m) : hn::Zero(DF())), dx + i, m);
  });
}

void activate_backward_range(Activation f, const float* x, const float* y, const float* dy, float* dx, bool add, std::size_t n) {
  const DF d;
  const VF one = hn::Set(d, 1.0f);
  switch (f) {
    case Activation::relu:
      return map_backward(x, y, dy, dx, add, n, [&](VF, VF v) { return hn::IfThenElseZero(hn::Gt(v, hn::Zero(d)), one); });
    case Activation::tanh: return map_backward(x, y, dy, dx, add, n, [&](VF, VF v) { return hn::NegMulAdd(v, v, one); });
    case Activation::sigmoid: return map_backward(x, y, dy, dx, add, n, [&](VF, VF v) { return hn::Mul(v, hn::Sub(one, v)); });
    case Activation::gelu:
      return map_backward(x, y, dy, dx, add, n, [&](VF v, VF) {
        const VF density = hn::Mul(hn::Set(d, kNormalPeak), exp_lanes(hn::Mul(hn::Mul(v, v), hn::Set(d, -0.5f))));
        return hn::MulAdd(v, density, normal_distribution(v));
      });
    case Activation::silu:
      return map_backward(x, y, dy, dx, add, n, [&](VF v, VF) {
        const VF s = sigmoid_lanes(v);
        return hn::Mul(s, hn::MulAdd(v, hn::Sub(one, s), one));
      });
  }
}

void add_scaled_range(float a, const float* x, float* y, std::size_t n) {
  const VF factor = hn::Set(DF(), a);
  each_vector(n, [&](std::size_t i, std::size_t m) { store_some(hn::MulAdd(factor, load_some(x + i, m), load_some(y + i, m)), y + i, m); });
}

void add_range(const float* a, const float* b, float* y, std::size_t n) {
  each_vector(n, [&](std::size_t i, std::size_t m) { store_some(hn::Add(load_some(a + i, m), load_some(b + i, m)), y + i, m); });
}

void scale_range(float a, const float* x, float* y, std::size_t n) {
  const VF factor = hn::Set(DF(), a);
  map(x, y, n, [&](VF v) { return hn::Mul(factor, v); });
}

float dot_range(const float* a, const float* b, std::size_t n) {
  V16 sum = zero16();
  std::size_t k = 0;
  for (; k + kVirtual <= n; k += kVirtual) add_product(sum, load16(a + k), load16(b + k));
  if (k < n) add_product(sum, load_tail(a + k, n - k), load_tail(b + k, n - k));
  return sum16(sum);
}

float sum_range(const float* x, std::size_t n) {
  V16 sum = zero16();
  const auto add = [&](const V16& v) {
    for (std::size_t i = 0; i < kVectors; ++i) sum.part[i] = hn::Add(sum.part[i], v.part[i]);
  };
  std::size_t k = 0;
  for (; k + kVirtual <= n; k += kVirtual) add(load16(x + k));
  if (k < n) add(load_tail(x + k, n - k));
  return sum16(sum);
}

void add_bias_range(const float* bias, std::size_t columns, std::size_t rows, float* y) {
  for (std::size_t r = 0; r < rows; ++r) add_scaled_range(1.0f, bias, y + r * columns, columns);
}

void add_rows_range(const float* x, std::size_t rows, std::size_t columns, float* total) {
  for (std::size_t r = 0; r < rows; ++r) add_scaled_range(1.0f, x + r * columns, total, columns);
}

void softmax_rows(const float* x, std::size_t n, float* y, std::size_t rows) {
  for (std::size_t r = 0; r < rows; ++r, x += n, y += n) {
    const VF largest = hn::Set(DF(), *std::max_element(x, x + n));
    map(x, y, n, [&](VF v) { return exp_lanes(hn::Sub(v, largest)); });
    scale_range(1.0f / sum_range(y, n), y, y, n);
  }
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(activate_range);
HWY_EXPORT(activate_backward_range);
HWY_EXPORT(add_scaled_range);
HWY_EXPORT(add_range);
HWY_EXPORT(scale_range);
HWY_EXPORT(dot_range);
HWY_EXPORT(sum_range);
HWY_EXPORT(add_bias_range);
HWY_EXPORT(add_rows_range);
HWY_EXPORT(softmax_rows);

namespace {

constexpr std::int64_t kGrain = 8192;  // values that are worth a thread's attention

template <class Body>
void share(std::size_t n, Pool& pool, Body body) {
  if (static_cast<std::int64_t>(n) <= 2 * kGrain)
    body(0, static_cast<std::int64_t>(n));
  else
    pool.parallel_for(static_cast<std::int64_t>(n), kGrain, std::ref(body));
}

}  // namespace

void activate(Activation f, std::span<const float> x, std::span<float> y, Pool& pool) {
  ensure(x.size() == y.size(), "sizes of an activation disagree");
  share(x.size(), pool, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(activate_range)(f, x.data() + begin, y.data() + begin, static_cast<std::size_t>(end - begin));
  });
}

void activate_backward(Activation f, std::span<const float> x, std::span<const float> y, std::span<const float> dy, std::span<float> dx,
                       bool add, Pool& pool) {
  ensure(x.size() == y.size() && y.size() == dy.size() && dy.size() == dx.size(), "sizes of an activation disagree");
  share(x.size(), pool, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(activate_backward_range)
    (f, x.data() + begin, y.data() + begin, dy.data() + begin, dx.data() + begin, add, static_cast<std::size_t>(end - begin));
  });
}

void add(std::span<const float> a, std::span<const float> b, std::span<float> y, Pool& pool) {
  ensure(a.size() == y.size() && b.size() == y.size(), "sizes of a sum disagree");
  share(y.size(), pool, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(add_range)(a.data() + begin, b.data() + begin, y.data() + begin, static_cast<std::size_t>(end - begin));
  });
}

void add_to(std::span<const float> x, std::span<float> y) { add_scaled(1.0f, x, y); }

void add_scaled(float a, std::span<const float> x, std::span<float> y) {
  ensure(x.size() == y.size(), "sizes of a sum disagree");
  HWY_DYNAMIC_DISPATCH(add_scaled_range)(a, x.data(), y.data(), x.size());
}

void scale(float a, std::span<const float> x, std::span<float> y) {
  ensure(x.size() == y.size(), "sizes of a scaling disagree");
  HWY_DYNAMIC_DISPATCH(scale_range)(a, x.data(), y.data(), x.size());
}

float dot(std::span<const float> a, std::span<const float> b) {
  ensure(a.size() == b.size(), "sizes of a dot product disagree");
  return HWY_DYNAMIC_DISPATCH(dot_range)(a.data(), b.data(), a.size());
}

float sum(std::span<const float> x) { return HWY_DYNAMIC_DISPATCH(sum_range)(x.data(), x.size()); }

void add_bias(std::span<const float> bias, std::int64_t rows, std::span<float> y) {
  ensure(y.size() == bias.size() * static_cast<std::size_t>(rows), "sizes of a bias disagree");
  HWY_DYNAMIC_DISPATCH(add_bias_range)(bias.data(), bias.size(), static_cast<std::size_t>(rows), y.data());
}

void add_rows(std::span<const float> x, std::int64_t rows, std::span<float> total) {
  ensure(x.size() == total.size() * static_cast<std::size_t>(rows), "sizes of a sum of rows disagree");
  HWY_DYNAMIC_DISPATCH(add_rows_range)(x.data(), static_cast<std::size_t>(rows), total.size(), total.data());
}

void softmax(std::span<const float> x, std::int64_t n, std::span<float> y, Pool& pool) {
  ensure(n > 0 && x.size() == y.size() && x.size() % static_cast<std::size_t>(n) == 0, "sizes of a softmax disagree");
  const auto length = static_cast<std::size_t>(n);
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(softmax_rows)(x.data() + begin * n, length, y.data() + begin * n, static_cast<std::size_t>(end - begin));
  };
  const auto rows = static_cast<std::int64_t>(x.size() / length);
  if (x.size() <= 4096)
    body(0, rows);
  else
    pool.parallel_for(rows, std::max<std::int64_t>(1, 4096 / n), std::ref(body));
}

}  // namespace starling::core
#endif

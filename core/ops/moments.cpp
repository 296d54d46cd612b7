#include "core/ops/moments.h"

#include <algorithm>

#include <hwy/cache_control.h>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/moments.cpp"
#include <hwy/foreach_target.h>

#include "core/ops/vectors.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

using DD = hn::CappedTag<double, kVirtual>;
using VD = hn::Vec<DD>;
using DH = hn::Rebind<float, DD>;  // as many floats as a vector of doubles has lanes
constexpr std::size_t kDoubles = hn::MaxLanes(DD());
constexpr std::size_t kDoubleVectors = kVirtual / kDoubles;

/// Sixteen lanes of doubles.
struct Lanes {
  VD part[kDoubleVectors];
};

HWY_INLINE Lanes zero_lanes() {
  Lanes r;
  for (std::size_t i = 0; i < kDoubleVectors; ++i) r.part[i] = hn::Zero(DD());
  return r;
}

HWY_INLINE double sum_lanes(const Lanes& a) {
  double lane[kVirtual], f[4];
  for (std::size_t i = 0; i < kDoubleVectors; ++i) hn::StoreU(a.part[i], DD(), lane + i * kDoubles);
  for (std::size_t l = 0; l < 4; ++l) f[l] = (lane[l] + lane[l + 8]) + (lane[l + 4] + lane[l + 12]);
  return (f[0] + f[2]) + (f[1] + f[3]);
}

/// body(i, load, live) for the i-th vector of each sixteen places: load(p) gives the values there as doubles, with
/// zeros for those beyond the end, which live() keeps zero. What lies `next` values further is asked for early: the runs
/// of a channel are too short for the processor to guess the next one.
template <class Body>
HWY_INLINE void each_double(std::int64_t length, std::int64_t next, Body body) {
  const auto n = static_cast<std::size_t>(length);
  std::size_t k = 0;
  for (; k + kVirtual <= n; k += kVirtual)
    for (std::size_t i = 0; i < kDoubleVectors; ++i)
      body(i,
           [&](const float* p) {
             if (i == 0) hwy::Prefetch(p + static_cast<std::int64_t>(k) + next);
             return hn::PromoteTo(DD(), hn::LoadU(DH(), p + k + i * kDoubles));
           },
           [](VD v) { return v; });
  const std::size_t rest = n - k;
  for (std::size_t i = 0; i * kDoubles < rest; ++i) {
    const std::size_t left = std::min(rest - i * kDoubles, kDoubles);
    const auto load = [&](const float* p) {
      float padded[kDoubles] = {};
      std::memcpy(padded, p + k + i * kDoubles, left * sizeof(float));
      return hn::PromoteTo(DD(), hn::LoadU(DH(), padded));
    };
    body(i, load, [&](VD v) { return hn::IfThenElseZero(hn::FirstN(DD(), left), v); });
  }
}

Moments moments_of(const float* x, const Runs& runs) {
  Lanes sum = zero_lanes(), squares = zero_lanes();
  for (std::int64_t r = 0; r < runs.count; ++r)
    each_double(runs.length, runs.stride, [&](std::size_t i, auto load, auto) { sum.part[i] = hn::Add(sum.part[i], load(x + r * runs.stride)); });
  const double mean = sum_lanes(sum) / runs.values();
  const VD centre = hn::Set(DD(), mean);
  for (std::int64_t r = 0; r < runs.count; ++r)
    each_double(runs.length, runs.stride, [&](std::size_t i, auto load, auto live) {
      const VD d = live(hn::Sub(load(x + r * runs.stride), centre));
      squares.part[i] = hn::MulAdd(d, d, squares.part[i]);
    });
  return {mean, sum_lanes(squares) / runs.values()};
}

void scale_and_shift_runs(const float* x, const Runs& runs, float slope, float shift, float* y) {
  const VF a = hn::Set(DF(), slope), b = hn::Set(DF(), shift);
  for (std::int64_t r = 0; r < runs.count; ++r, x += runs.stride, y += runs.stride)
    each_vector(static_cast<std::size_t>(runs.length), [&](std::size_t i, auto n) { store_some(hn::MulAdd(load_some(x + i, n), a, b), y + i, n); });
}

void scale_shift_relu_runs(const float* x, const float* shortcut, const Runs& runs, float slope, float shift, float* y) {
  const VF a = hn::Set(DF(), slope), b = hn::Set(DF(), shift);
  const auto run = [&](const float* from, float* to, auto more) {
    each_vector(static_cast<std::size_t>(runs.length), [&](std::size_t i, auto n) {
      store_some(hn::Max(more(hn::MulAdd(load_some(from + i, n), a, b), i, n), hn::Zero(DF())), to + i, n);
    });
  };
  for (std::int64_t r = 0; r < runs.count; ++r) {
    const std::int64_t at = r * runs.stride;
    if (shortcut)
      run(x + at, y + at, [&](VF v, std::size_t i, auto n) { return hn::Add(v, load_some(shortcut + at + i, n)); });
    else
      run(x + at, y + at, [](VF v, std::size_t, auto) { return v; });
  }
}

/// visit(gradient) with how the gradient that arrives is loaded: gradient(load, place) for loads of either width.
template <class D, class Visit>
HWY_INLINE void with_arriving(D d, const Arriving& arriving, Visit visit) {
  const float *dy = arriving.dy, *y = arriving.y;
  if (y)
    visit([=](auto load, std::int64_t at) { return hn::IfThenElseZero(hn::Gt(load(y + at), hn::Zero(d)), load(dy + at)); });
  else
    visit([=](auto load, std::int64_t at) { return load(dy + at); });
}

GradientSums gradient_sums_of(const float* x, const Arriving& arriving, const Runs& runs, float mean) {
  Lanes sum = zero_lanes(), product = zero_lanes();
  const VD centre = hn::Set(DD(), static_cast<double>(mean));
  with_arriving(DD(), arriving, [&](auto gradient) {
    for (std::int64_t r = 0; r < runs.count; ++r)
      each_double(runs.length, runs.stride, [&](std::size_t i, auto load, auto) {
        const VD d = gradient(load, r * runs.stride);
        sum.part[i] = hn::Add(sum.part[i], d);
        product.part[i] = hn::MulAdd(d, hn::Sub(load(x + r * runs.stride), centre), product.part[i]);
      });
  });
  return {sum_lanes(sum), sum_lanes(product)};
}

/// store(place, n, gradient that arrives) for all vectors of the runs.
template <class Store>
HWY_INLINE void each_arriving(const Arriving& arriving, const Runs& runs, Store store) {
  with_arriving(DF(), arriving, [&](auto gradient) {
    for (std::int64_t r = 0; r < runs.count; ++r)
      each_vector(static_cast<std::size_t>(runs.length), [&](std::size_t i, auto n) {
        const std::int64_t at = r * runs.stride + static_cast<std::int64_t>(i);
        store(at, n, gradient([n](const float* p) { return load_some(p, n); }, at));
      });
  });
}

void input_gradient_runs(const float* x, const Arriving& arriving, const Runs& runs, const InputGradient& g, bool fresh, float* dx) {
  const DF d;
  const VF mean = hn::Set(d, g.mean), slope = hn::Set(d, g.slope), shift = hn::Set(d, g.shift), lean = hn::Set(d, g.lean);
  each_arriving(arriving, runs, [=](std::int64_t at, auto n, VF dy) {
    const VF less = hn::MulAdd(lean, hn::Sub(load_some(x + at, n), mean), shift);
    const VF more = fresh ? hn::Mul(slope, dy) : hn::MulAdd(slope, dy, load_some(dx + at, n));
    store_some(hn::Sub(more, less), dx + at, n);
  });
}

void pass_gradient_runs(const Arriving& arriving, const Runs& runs, bool fresh, float* to) {
  each_arriving(arriving, runs, [=](std::int64_t at, auto n, VF dy) { store_some(fresh ? dy : hn::Add(load_some(to + at, n), dy), to + at, n); });
}

void normalise_row_of(const float* x, const Row& row, const float* gain, const float* bias, float* y) {
  const VF mean = hn::Set(DF(), row.mean), scale = hn::Set(DF(), row.scale);
  each_vector(static_cast<std::size_t>(row.size), [&](std::size_t i, auto n) {
    const VF normal = hn::Mul(hn::Sub(load_some(x + i, n), mean), scale);
    store_some(hn::MulAdd(normal, load_some(gain + i, n), load_some(bias + i, n)), y + i, n);
  });
}

GradientSums row_gradient_sums_of(const float* x, const float* dy, const Row& row, const float* gain) {
  Lanes sum = zero_lanes(), product = zero_lanes();
  const VD centre = hn::Set(DD(), static_cast<double>(row.mean));
  each_double(row.size, row.size, [&](std::size_t i, auto load, auto) {
    const VD d = hn::Mul(load(dy), load(gain));
    sum.part[i] = hn::Add(sum.part[i], d);
    product.part[i] = hn::MulAdd(d, hn::Sub(load(x), centre), product.part[i]);
  });
  return {sum_lanes(sum), sum_lanes(product)};
}

void row_input_gradient_of(const float* x, const float* dy, const Row& row, const float* gain, float shift, float lean, float* dx) {
  const DF d;
  const VF mean = hn::Set(d, row.mean), scale = hn::Set(d, row.scale), level = hn::Set(d, shift), slope = hn::Set(d, lean);
  each_vector(static_cast<std::size_t>(row.size), [&](std::size_t i, auto n) {
    const VF less = hn::MulAdd(slope, hn::Sub(load_some(x + i, n), mean), level);
    const VF more = hn::MulAdd(scale, hn::Mul(load_some(dy + i, n), load_some(gain + i, n)), load_some(dx + i, n));
    store_some(hn::Sub(more, less), dx + i, n);
  });
}

void row_gain_gradient_of(const float* x, const float* dy, const Row& row, float* d_gain, float* d_bias) {
  const VF mean = hn::Set(DF(), row.mean), scale = hn::Set(DF(), row.scale);
  each_vector(static_cast<std::size_t>(row.size), [&](std::size_t i, auto n) {
    const VF d = load_some(dy + i, n), normal = hn::Mul(hn::Sub(load_some(x + i, n), mean), scale);
    store_some(hn::MulAdd(d, normal, load_some(d_gain + i, n)), d_gain + i, n);
    store_some(hn::Add(load_some(d_bias + i, n), d), d_bias + i, n);
  });
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(moments_of);
HWY_EXPORT(scale_and_shift_runs);
HWY_EXPORT(scale_shift_relu_runs);
HWY_EXPORT(gradient_sums_of);
HWY_EXPORT(input_gradient_runs);
HWY_EXPORT(pass_gradient_runs);
HWY_EXPORT(normalise_row_of);
HWY_EXPORT(row_gradient_sums_of);
HWY_EXPORT(row_input_gradient_of);
HWY_EXPORT(row_gain_gradient_of);

Moments moments(const float* x, const Runs& runs) { return HWY_DYNAMIC_DISPATCH(moments_of)(x, runs); }

void scale_and_shift(const float* x, const Runs& runs, float slope, float shift, float* y) {
  HWY_DYNAMIC_DISPATCH(scale_and_shift_runs)(x, runs, slope, shift, y);
}

void scale_shift_relu(const float* x, const float* shortcut, const Runs& runs, float slope, float shift, float* y) {
  HWY_DYNAMIC_DISPATCH(scale_shift_relu_runs)(x, shortcut, runs, slope, shift, y);
}

GradientSums gradient_sums(const float* x, const Arriving& d, const Runs& runs, float mean) { return HWY_DYNAMIC_DISPATCH(gradient_sums_of)(x, d, runs, mean); }

void input_gradient(const float* x, const Arriving& d, const Runs& runs, const InputGradient& g, bool fresh, float* dx) {
  HWY_DYNAMIC_DISPATCH(input_gradient_runs)(x, d, runs, g, fresh, dx);
}

void pass_gradient(const Arriving& d, const Runs& runs, bool fresh, float* to) { HWY_DYNAMIC_DISPATCH(pass_gradient_runs)(d, runs, fresh, to); }

void normalise_row(const float* x, const Row& row, const float* gain, const float* bias, float* y) {
  HWY_DYNAMIC_DISPATCH(normalise_row_of)(x, row, gain, bias, y);
}

GradientSums row_gradient_sums(const float* x, const float* dy, const Row& row, const float* gain) {
  return HWY_DYNAMIC_DISPATCH(row_gradient_sums_of)(x, dy, row, gain);
}

void row_input_gradient(const float* x, const float* dy, const Row& row, const float* gain, float shift, float lean, float* dx) {
  HWY_DYNAMIC_DISPATCH(row_input_gradient_of)(x, dy, row, gain, shift, lean, dx);
}

void row_gain_gradient(const float* x, const float* dy, const Row& row, float* d_gain, float* d_bias) {
  HWY_DYNAMIC_DISPATCH(row_gain_gradient_of)(x, dy, row, d_gain, d_bias);
}

}  // namespace starling::core
#endif

// The gated activation silu(gate) * up, element by element with our own exp().
#include "core/ops/swiglu.h"

#include <functional>

#include "core/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/swiglu.cpp"
#include <hwy/foreach_target.h>

#include "core/ops/exp.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

HWY_INLINE V16 gated(const V16& gate, const V16& up) {
  const VF one = hn::Set(DF(), 1.0f);
  V16 r;
  for (std::size_t i = 0; i < kVectors; ++i) {
    const VF silu = hn::Div(gate.part[i], hn::Add(one, exp_lanes(hn::Neg(gate.part[i]))));
    r.part[i] = hn::Mul(silu, up.part[i]);
  }
  return r;
}

void swiglu_range(float* gate, const float* up, std::size_t n) {
  std::size_t k = 0;
  for (; k + kVirtual <= n; k += kVirtual) store16(gated(load16(gate + k), load16(up + k)), gate + k);
  if (k == n) return;
  float result[kVirtual];
  store16(gated(load_tail(gate + k, n - k), load_tail(up + k, n - k)), result);
  std::memcpy(gate + k, result, (n - k) * sizeof(float));
}

/// silu'(g) = s + g s (1 - s) with s = 1 / (1 + exp(-g)).
void swiglu_backward_range(const float* gate, const float* up, const float* dy, float* d_gate, float* d_up,
                           std::size_t n) {
  const VF one = hn::Set(DF(), 1.0f);
  const auto some = [&](auto load, std::size_t k, V16& to_gate, V16& to_up) {
    const V16 g = load(gate + k), u = load(up + k), y = load(dy + k);
    for (std::size_t i = 0; i < kVectors; ++i) {
      const VF s = hn::Div(one, hn::Add(one, exp_lanes(hn::Neg(g.part[i])))), silu = hn::Mul(g.part[i], s);
      to_gate.part[i] = hn::MulAdd(hn::Mul(y.part[i], u.part[i]), hn::MulAdd(silu, hn::Sub(one, s), s), to_gate.part[i]);
      to_up.part[i] = hn::MulAdd(y.part[i], silu, to_up.part[i]);
    }
  };
  std::size_t k = 0;
  for (; k + kVirtual <= n; k += kVirtual) {
    V16 to_gate = load16(d_gate + k), to_up = load16(d_up + k);
    some([](const float* p) { return load16(p); }, k, to_gate, to_up);
    store16(to_gate, d_gate + k), store16(to_up, d_up + k);
  }
  if (k == n) return;
  V16 to_gate = load_tail(d_gate + k, n - k), to_up = load_tail(d_up + k, n - k);
  some([&](const float* p) { return load_tail(p, n - k); }, k, to_gate, to_up);
  float padded[2][kVirtual];
  store16(to_gate, padded[0]), store16(to_up, padded[1]);
  std::memcpy(d_gate + k, padded[0], (n - k) * sizeof(float));
  std::memcpy(d_up + k, padded[1], (n - k) * sizeof(float));
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(swiglu_range);
HWY_EXPORT(swiglu_backward_range);

void swiglu(std::span<float> gate, std::span<const float> up, Pool& pool) {
  ensure(gate.size() == up.size(), "gate and up differ in size");
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(swiglu_range)(gate.data() + begin, up.data() + begin, static_cast<std::size_t>(end - begin));
  };
  pool.parallel_for(static_cast<std::int64_t>(gate.size()), 4096, std::ref(body));
}

void swiglu_backward(std::span<const float> gate, std::span<const float> up, std::span<const float> dy, std::span<float> d_gate,
                     std::span<float> d_up, Pool& pool) {
  const std::size_t n = gate.size();
  ensure(up.size() == n && dy.size() == n && d_gate.size() == n && d_up.size() == n, "sizes of a gated activation disagree");
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(swiglu_backward_range)
    (gate.data() + begin, up.data() + begin, dy.data() + begin, d_gate.data() + begin, d_up.data() + begin,
     static_cast<std::size_t>(end - begin));
  };
  pool.parallel_for(static_cast<std::int64_t>(n), 4096, std::ref(body));
}

}  // namespace starling::core
#endif

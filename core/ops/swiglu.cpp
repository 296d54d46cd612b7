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

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(swiglu_range);

void swiglu(std::span<float> gate, std::span<const float> up, Pool& pool) {
  ensure(gate.size() == up.size(), "gate and up differ in size");
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(swiglu_range)(gate.data() + begin, up.data() + begin, static_cast<std::size_t>(end - begin));
  };
  pool.parallel_for(static_cast<std::int64_t>(gate.size()), 4096, std::ref(body));
}

}  // namespace starling::core
#endif

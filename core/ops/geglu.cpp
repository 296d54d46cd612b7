// gelu(gate) * up and soft caps, element by element with our own tanh().
#include "core/ops/geglu.h"

#include <functional>

#include "core/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/geglu.cpp"
#include <hwy/foreach_target.h>

#include "core/ops/functions.h"
#include "core/ops/vectors.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

void geglu_range(float* gate, const float* up, std::size_t n) {
  const DF d;
  const VF half = hn::Set(d, 0.5f), root = hn::Set(d, 0.79788456f), cubic = hn::Set(d, 0.044715f);
  each_vector(n, [&](std::size_t i, auto m) {
    const VF x = load_some(gate + i, m);
    const VF inner = hn::Mul(root, hn::MulAdd(hn::Mul(cubic, hn::Mul(x, x)), x, x));
    const VF half_x = hn::Mul(half, x);
    store_some(hn::Mul(hn::MulAdd(half_x, tanh_lanes(inner), half_x), load_some(up + i, m)), gate + i, m);
  });
}

void soft_cap_range(float cap, float* x, std::size_t n) {
  const VF most = hn::Set(DF(), cap);
  each_vector(n, [&](std::size_t i, auto m) { store_some(hn::Mul(most, tanh_lanes(hn::Div(load_some(x + i, m), most))), x + i, m); });
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(geglu_range);
HWY_EXPORT(soft_cap_range);

void geglu(std::span<float> gate, std::span<const float> up, Pool& pool) {
  ensure(gate.size() == up.size(), "gate and up differ in size");
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(geglu_range)(gate.data() + begin, up.data() + begin, static_cast<std::size_t>(end - begin));
  };
  pool.parallel_for(static_cast<std::int64_t>(gate.size()), 4096, std::ref(body));
}

void soft_cap(float cap, std::span<float> x, Pool& pool) {
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(soft_cap_range)(cap, x.data() + begin, static_cast<std::size_t>(end - begin));
  };
  pool.parallel_for(static_cast<std::int64_t>(x.size()), 4096, std::ref(body));
}

}  // namespace starling::core
#endif

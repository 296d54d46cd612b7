// tanh, sigmoid and erf from our own exp(), the same bits on every target with FMA.
#if defined(STARLING_CORE_OPS_FUNCTIONS_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STARLING_CORE_OPS_FUNCTIONS_H_
#undef STARLING_CORE_OPS_FUNCTIONS_H_
#else
#define STARLING_CORE_OPS_FUNCTIONS_H_
#endif

#include "core/ops/exp.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

HWY_INLINE VF sigmoid_lanes(VF x) {
  const VF one = hn::Set(DF(), 1.0f);
  return hn::Div(one, hn::Add(one, exp_lanes(hn::Neg(x))));
}

/// (1 - e) / (1 + e) with e = exp(-2 |x|); near zero, where that loses digits, the series to x^11.
HWY_INLINE VF tanh_lanes(VF x) {
  const DF d;
  const VF one = hn::Set(d, 1.0f), size = hn::Abs(x);
  const VF e = exp_lanes(hn::Mul(size, hn::Set(d, -2.0f)));
  const VF large = hn::CopySign(hn::Div(hn::Sub(one, e), hn::Add(one, e)), x);
  const VF z = hn::Mul(x, x);
  VF p = hn::Set(d, -1382.0f / 155925);
  for (const float coefficient : {62.0f / 2835, -17.0f / 315, 2.0f / 15, -1.0f / 3}) p = hn::MulAdd(p, z, hn::Set(d, coefficient));
  const VF small = hn::MulAdd(hn::Mul(p, z), x, x);
  return hn::IfThenElse(hn::Lt(size, hn::Set(d, 0.35f)), small, large);
}

/// Abramowitz and Stegun 7.1.26: within 1.5e-7.
HWY_INLINE VF erf_lanes(VF x) {
  const DF d;
  const VF one = hn::Set(d, 1.0f), size = hn::Abs(x);
  const VF t = hn::Div(one, hn::MulAdd(size, hn::Set(d, 0.3275911f), one));
  VF p = hn::Set(d, 1.061405429f);
  for (const float coefficient : {-1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f}) p = hn::MulAdd(p, t, hn::Set(d, coefficient));
  const VF tail = hn::Mul(hn::Mul(p, t), exp_lanes(hn::Neg(hn::Mul(size, size))));
  return hn::CopySign(hn::Sub(one, tail), x);
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

// exp() as a fixed polynomial, the same bits on every target with FMA: x = n ln 2 + r by Cody and Waite's two
// part constant, Taylor's polynomial of degree 7 in r (|r| <= 0.35: truncation 5e-9), times 2^n in two steps
// so that the largest results do not overflow early. Within 1.5 units in the last place; below 2^-126 zero.
#if defined(STARLING_CORE_OPS_EXP_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STARLING_CORE_OPS_EXP_H_
#undef STARLING_CORE_OPS_EXP_H_
#else
#define STARLING_CORE_OPS_EXP_H_
#endif

#include <limits>

#include "core/ops/simd.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

HWY_INLINE VF exp_lanes(VF x) {
  constexpr float kLowest = -87.33654f;   // 2^-126
  constexpr float kHighest = 88.722839f;  // the largest float
  const DF d;
  const hn::Rebind<std::int32_t, DF> di;
  const VF clamped = hn::Min(hn::Max(x, hn::Set(d, kLowest)), hn::Set(d, kHighest));
  const auto n = hn::NearestInt(hn::Mul(clamped, hn::Set(d, 1.44269504f)));
  const VF whole = hn::ConvertTo(d, n);
  VF r = hn::NegMulAdd(whole, hn::Set(d, 0x1.62e4p-1f), clamped);
  r = hn::NegMulAdd(whole, hn::Set(d, 0x1.7f7d1cp-20f), r);
  VF p = hn::Set(d, 1.0f / 5040);
  for (const float coefficient : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    p = hn::MulAdd(p, r, hn::Set(d, coefficient));
  const auto bias = hn::Set(di, 127);
  const auto half = hn::ShiftRight<1>(n);
  const VF scale0 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const VF scale1 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(n, half), bias)));
  VF result = hn::Mul(hn::Mul(p, scale0), scale1);
  result = hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, kLowest)), result);
  result = hn::IfThenElse(hn::Gt(x, hn::Set(d, kHighest)), hn::Set(d, std::numeric_limits<float>::infinity()), result);
  return hn::IfThenElse(hn::IsNaN(x), x, result);
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

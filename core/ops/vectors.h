// Values vector by vector; the rest that fills no vector passes through padded copies.
//
// Included once per target by files that dispatch with Highway (foreach_target.h).
#if defined(STARLING_CORE_OPS_VECTORS_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STARLING_CORE_OPS_VECTORS_H_
#undef STARLING_CORE_OPS_VECTORS_H_
#else
#define STARLING_CORE_OPS_VECTORS_H_
#endif

#include <type_traits>

#include "core/ops/simd.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

/// Calls body(place, n) with n = kLanes, a constant for the compiler, for whole vectors and once with less for the rest.
template <class Body>
HWY_INLINE void each_vector(std::size_t n, Body body) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, std::integral_constant<std::size_t, kLanes>());
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

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

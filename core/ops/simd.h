// Sixteen virtual lanes, the same on every instruction set: one AVX-512 vector, two of AVX2, four of SSE or
// NEON, sixteen scalars. A sum over n values puts value i into lane i % 16, in order, by fused multiply-add,
// and adds the lanes by one fixed tree, so that all targets with FMA give the same bits. Values beyond the
// end of a sum count as zeros.
//
// Included once per target by files that dispatch with Highway (foreach_target.h).
#if defined(STARLING_CORE_OPS_SIMD_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STARLING_CORE_OPS_SIMD_H_
#undef STARLING_CORE_OPS_SIMD_H_
#else
#define STARLING_CORE_OPS_SIMD_H_
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kVirtual = 16;
using DF = hn::CappedTag<float, kVirtual>;
using VF = hn::Vec<DF>;
constexpr std::size_t kLanes = hn::MaxLanes(DF());
constexpr std::size_t kVectors = kVirtual / kLanes;

struct V16 {
  VF part[kVectors];
};

HWY_INLINE V16 zero16() {
  V16 r;
  for (std::size_t i = 0; i < kVectors; ++i) r.part[i] = hn::Zero(DF());
  return r;
}

HWY_INLINE V16 load16(const float* p) {
  V16 r;
  for (std::size_t i = 0; i < kVectors; ++i) r.part[i] = hn::LoadU(DF(), p + i * kLanes);
  return r;
}

/// The first n < 16 values at p, zeros after them.
HWY_INLINE V16 load_tail(const float* p, std::size_t n) {
  float padded[kVirtual] = {};
  std::memcpy(padded, p, n * sizeof(float));
  return load16(padded);
}

HWY_INLINE void store16(const V16& a, float* p) {
  for (std::size_t i = 0; i < kVectors; ++i) hn::StoreU(a.part[i], DF(), p + i * kLanes);
}

/// sum += a * b, fused where the target can.
HWY_INLINE void add_product(V16& sum, const V16& a, const V16& b) {
  for (std::size_t i = 0; i < kVectors; ++i) sum.part[i] = hn::MulAdd(a.part[i], b.part[i], sum.part[i]);
}

// The tree: lane l + lane l + 8, then l + 4, then (0 + 2) + (1 + 3).
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE float sum16(const V16& a) {
  float f[4];
  for (std::size_t l = 0; l < 4; ++l)
    f[l] = (hn::GetLane(a.part[l]) + hn::GetLane(a.part[l + 8])) + (hn::GetLane(a.part[l + 4]) + hn::GetLane(a.part[l + 12]));
  return (f[0] + f[2]) + (f[1] + f[3]);
}

HWY_INLINE void store_sums(const V16 (&a)[4], float* sums) {
  for (std::size_t i = 0; i < 4; ++i) sums[i] = sum16(a[i]);
}
#else
using D4 = hn::FixedTag<float, 4>;
using V4 = hn::Vec<D4>;

template <class A>  // V16; a template so that only the branch for this target is compiled
HWY_INLINE V4 fold4(const A& a) {
  if constexpr (kLanes == 16) {
    const hn::Half<DF> d8;
    const auto f = hn::Add(hn::LowerHalf(d8, a.part[0]), hn::UpperHalf(d8, a.part[0]));
    return hn::Add(hn::LowerHalf(D4(), f), hn::UpperHalf(D4(), f));
  } else if constexpr (kLanes == 8) {
    const auto f = hn::Add(a.part[0], a.part[1]);
    return hn::Add(hn::LowerHalf(D4(), f), hn::UpperHalf(D4(), f));
  } else {
    return hn::Add(hn::Add(a.part[0], a.part[2]), hn::Add(a.part[1], a.part[3]));
  }
}

/// Within every block of four lanes: lane i becomes (0 + 2) + (1 + 3) of the i-th argument.
template <class D, class V>
HWY_INLINE V transpose_add(D d, V v0, V v1, V v2, V v3) {
  const V s01 = hn::Add(hn::InterleaveLower(d, v0, v1), hn::InterleaveUpper(d, v0, v1));
  const V s23 = hn::Add(hn::InterleaveLower(d, v2, v3), hn::InterleaveUpper(d, v2, v3));
  const hn::Repartition<double, D> d64;
  const auto p = hn::BitCast(d64, s01), q = hn::BitCast(d64, s23);
  return hn::Add(hn::BitCast(d, hn::InterleaveLower(d64, p, q)), hn::BitCast(d, hn::InterleaveUpper(d64, p, q)));
}

/// sums[i] = the sum of the lanes of a[i].
HWY_INLINE void store_sums(const V16 (&a)[4], float* sums) {
  hn::StoreU(transpose_add(D4(), fold4(a[0]), fold4(a[1]), fold4(a[2]), fold4(a[3])), D4(), sums);
}

HWY_INLINE float sum16(const V16& a) {
  float sums[4];
  hn::StoreU(transpose_add(D4(), fold4(a), fold4(a), fold4(a), fold4(a)), D4(), sums);
  return sums[0];
}
#endif

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
/// Lanes l and l + 8 of a and of b, added: eight sums of a, then eight of b.
HWY_INLINE VF fold8(const V16& a, const V16& b) {
  const DF d;
  return hn::Add(hn::ConcatLowerLower(d, b.part[0], a.part[0]), hn::ConcatUpperUpper(d, b.part[0], a.part[0]));
}

/// Four sums a block for the vectors a0, a1, a2, a3, in this order of blocks.
HWY_INLINE VF fold4_blocks(const V16& a0, const V16& a1, const V16& a2, const V16& a3) {
  const VF even = fold8(a0, a2), odd = fold8(a1, a3);
  return hn::Add(hn::OddEvenBlocks(odd, even), hn::SwapAdjacentBlocks(hn::OddEvenBlocks(even, odd)));
}
#endif

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

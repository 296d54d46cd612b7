// Integer kernels for NEON with the dot-product extension.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "core/ops/packed_layout.h"

#define STARLING_TARGET "arch=armv8.2-a+dotprod"
#include "core/ops/packed_target_begin.h"

#include "core/ops/packed_kernel.h"

namespace starling::core {
namespace {

/// Four lanes in each of four registers.
struct Neon {
  static constexpr std::size_t kGroups = 1, kRows = 2;
  struct Ints {
    int32x4_t part[4];
  };
  struct Floats {
    float32x4_t part[4];
  };
  struct Codes {
    uint8x16_t part[4];
  };
  using Quad = int8x16_t;

  static STARLING_INLINE Ints splat(int v) {
    const int32x4_t part = vdupq_n_s32(v);
    return {{part, part, part, part}};
  }
  static STARLING_INLINE Floats splat(float v) {
    const float32x4_t part = vdupq_n_f32(v);
    return {{part, part, part, part}};
  }
  static STARLING_INLINE Codes load(const std::uint8_t* p) { return {{vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)}}; }
  template <int kShift, int kMask>
  static STARLING_INLINE Codes field(Codes codes) {
    for (int i = 0; i < 4; ++i) {
      if constexpr (kShift > 0)
        codes.part[i] = vshlq_n_u8(codes.part[i], kShift);
      else if constexpr (kShift < 0)
        codes.part[i] = vshrq_n_u8(codes.part[i], -kShift);
      codes.part[i] = vandq_u8(codes.part[i], vdupq_n_u8(kMask));
    }
    return codes;
  }
  static STARLING_INLINE Codes either(Codes a, const Codes& b) {
    for (int i = 0; i < 4; ++i) a.part[i] = vorrq_u8(a.part[i], b.part[i]);
    return a;
  }
  static STARLING_INLINE Quad quad(const std::int8_t* p) {
    std::int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
  }
  static STARLING_INLINE Ints dot(Ints sum, const Codes& codes, Quad quad) {
    for (int i = 0; i < 4; ++i) sum.part[i] = vdotq_s32(sum.part[i], vreinterpretq_s8_u8(codes.part[i]), quad);
    return sum;
  }
  static STARLING_INLINE Ints start_wide(int) { return splat(0); }
  /// Flipping the top bit of code + 128 leaves the code with its sign.
  static STARLING_INLINE Ints dot_wide(Ints sum, const Codes& codes, Quad quad) {
    for (int i = 0; i < 4; ++i)
      sum.part[i] = vdotq_s32(sum.part[i], vreinterpretq_s8_u8(veorq_u8(codes.part[i], vdupq_n_u8(128))), quad);
    return sum;
  }
  static STARLING_INLINE Floats floats(const Ints& v) {
    Floats r;
    for (int i = 0; i < 4; ++i) r.part[i] = vcvtq_f32_s32(v.part[i]);
    return r;
  }
  static STARLING_INLINE Floats halves(const std::uint8_t* p) {
    Floats r;
    for (int i = 0; i < 4; ++i) r.part[i] = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p + 8 * i)));
    return r;
  }
  static STARLING_INLINE Ints widened(uint8x16_t all) {
    const uint16x8_t a = vmovl_u8(vget_low_u8(all)), b = vmovl_u8(vget_high_u8(all));
    const auto part = [](uint16x4_t words) { return vreinterpretq_s32_u32(vmovl_u16(words)); };
    return {{part(vget_low_u16(a)), part(vget_high_u16(a)), part(vget_low_u16(b)), part(vget_high_u16(b))}};
  }
  static STARLING_INLINE Floats bytes(const std::uint8_t* p) { return floats(widened(vld1q_u8(p))); }
  static STARLING_INLINE void nibble_ints(const std::uint8_t* p, Ints& low, Ints& high) {
    const uint8x16_t both = vld1q_u8(p);
    low = widened(vandq_u8(both, vdupq_n_u8(15)));
    high = widened(vshrq_n_u8(both, 4));
  }
  static STARLING_INLINE Ints signed_bytes(const std::uint8_t* p) {
    const int8x16_t all = vreinterpretq_s8_u8(vld1q_u8(p));
    const int16x8_t a = vmovl_s8(vget_low_s8(all)), b = vmovl_s8(vget_high_s8(all));
    return {{vmovl_s16(vget_low_s16(a)), vmovl_s16(vget_high_s16(a)), vmovl_s16(vget_low_s16(b)), vmovl_s16(vget_high_s16(b))}};
  }
  static STARLING_INLINE Ints sum_of_products(Ints a, const Ints& b, const Ints& c, const Ints& d) {
    for (int i = 0; i < 4; ++i) a.part[i] = vmlaq_s32(vmulq_s32(a.part[i], b.part[i]), c.part[i], d.part[i]);
    return a;
  }
  static STARLING_INLINE Floats mul(Floats a, const Floats& b) {
    for (int i = 0; i < 4; ++i) a.part[i] = vmulq_f32(a.part[i], b.part[i]);
    return a;
  }
  static STARLING_INLINE Floats fma(const Floats& a, const Floats& b, Floats c) {
    for (int i = 0; i < 4; ++i) c.part[i] = vfmaq_f32(c.part[i], a.part[i], b.part[i]);
    return c;
  }
  static STARLING_INLINE Floats load_floats(const float* p) { return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}}; }
  static STARLING_INLINE void store_floats(const Floats& v, float* p) {
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, v.part[i]);
  }
};

constexpr PackedKernels kNeon = PackedTable<Neon>::named("NEON dot product");

}  // namespace
}  // namespace starling::core

#include "core/ops/packed_target_end.h"

namespace starling::core {
const PackedKernels& packed_neon() { return kNeon; }
}  // namespace starling::core
#endif

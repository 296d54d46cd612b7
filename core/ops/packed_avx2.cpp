// Integer kernels for AVX2.
#if defined(__x86_64__)
#include <immintrin.h>

#include "core/ops/packed_layout.h"

#define STARLING_TARGET "avx2,fma,f16c"
#include "core/ops/packed_target_begin.h"

#include "core/ops/packed_kernel.h"

namespace starling::core {
namespace {

/// Lanes 0..7 in `a`, 8..15 in `b`.
struct Avx2 {
  static constexpr std::size_t kGroups = 1, kRows = 3;
  struct Ints {
    __m256i a, b;
  };
  struct Floats {
    __m256 a, b;
  };
  using Codes = Ints;
  using Quad = __m256i;

  static STARLING_INLINE __m256i load_half(const std::uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static STARLING_INLINE __m128i load_bytes(const std::uint8_t* p) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)); }
  static STARLING_INLINE Ints splat(int v) { return {_mm256_set1_epi32(v), _mm256_set1_epi32(v)}; }
  static STARLING_INLINE Floats splat(float v) { return {_mm256_set1_ps(v), _mm256_set1_ps(v)}; }
  static STARLING_INLINE Codes load(const std::uint8_t* p) { return {load_half(p), load_half(p + 32)}; }
  /// What moves in from a neighbour's byte is masked away.
  template <int kShift, int kMask>
  static STARLING_INLINE __m256i field_half(__m256i codes) {
    if constexpr (kShift > 0)
      codes = _mm256_slli_epi16(codes, kShift);
    else if constexpr (kShift < 0)
      codes = _mm256_srli_epi16(codes, -kShift);
    return _mm256_and_si256(codes, _mm256_set1_epi8(kMask));
  }
  template <int kShift, int kMask>
  static STARLING_INLINE Codes field(Codes codes) {
    return {field_half<kShift, kMask>(codes.a), field_half<kShift, kMask>(codes.b)};
  }
  static STARLING_INLINE Codes either(Codes x, Codes y) { return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)}; }
  static STARLING_INLINE Quad quad(const std::int8_t* p) {
    std::int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
  }
  /// Pairs of products add up to 16 bits, at most 127 * 127 * 2 here, then pairs of pairs to 32.
  static STARLING_INLINE __m256i dot_half(__m256i sum, __m256i codes, __m256i quad) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(codes, quad), _mm256_set1_epi16(1)));
  }
  static STARLING_INLINE Ints dot(Ints sum, Codes codes, Quad quad) {
    return {dot_half(sum.a, codes.a, quad), dot_half(sum.b, codes.b, quad)};
  }
  /// The sum of two products with codes up to 255 would not fit 16 bits: the sign moves to the activation, and
  /// 128 * 127 * 2 fits.
  static STARLING_INLINE __m256i dot_signed(__m256i sum, __m256i codes, __m256i quad) {
    const __m256i code = _mm256_xor_si256(codes, _mm256_set1_epi8(-128));
    return dot_half(sum, _mm256_abs_epi8(code), _mm256_sign_epi8(quad, code));
  }
  static STARLING_INLINE Ints start_wide(int) { return splat(0); }
  static STARLING_INLINE Ints dot_wide(Ints sum, Codes codes, Quad quad) {
    return {dot_signed(sum.a, codes.a, quad), dot_signed(sum.b, codes.b, quad)};
  }
  static STARLING_INLINE Floats floats(Ints v) { return {_mm256_cvtepi32_ps(v.a), _mm256_cvtepi32_ps(v.b)}; }
  static STARLING_INLINE Floats halves(const std::uint8_t* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
            _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16)))};
  }
  static STARLING_INLINE Floats bytes(const std::uint8_t* p) {
    return floats({_mm256_cvtepu8_epi32(load_bytes(p)), _mm256_cvtepu8_epi32(load_bytes(p + 8))});
  }
  static STARLING_INLINE Ints signed_bytes(const std::uint8_t* p) {
    return {_mm256_cvtepi8_epi32(load_bytes(p)), _mm256_cvtepi8_epi32(load_bytes(p + 8))};
  }
  static STARLING_INLINE void nibble_ints(const std::uint8_t* p, Ints& low, Ints& high) {
    const __m256i a = _mm256_cvtepu8_epi32(load_bytes(p)), b = _mm256_cvtepu8_epi32(load_bytes(p + 8)), mask = _mm256_set1_epi32(15);
    low = {_mm256_and_si256(a, mask), _mm256_and_si256(b, mask)};
    high = {_mm256_srli_epi32(a, 4), _mm256_srli_epi32(b, 4)};
  }
  static STARLING_INLINE Ints sum_of_products(Ints a, Ints b, Ints c, Ints d) {
    return {_mm256_add_epi32(_mm256_mullo_epi32(a.a, b.a), _mm256_mullo_epi32(c.a, d.a)),
            _mm256_add_epi32(_mm256_mullo_epi32(a.b, b.b), _mm256_mullo_epi32(c.b, d.b))};
  }
  static STARLING_INLINE Floats mul(Floats a, Floats b) { return {_mm256_mul_ps(a.a, b.a), _mm256_mul_ps(a.b, b.b)}; }
  static STARLING_INLINE Floats fma(Floats a, Floats b, Floats c) {
    return {_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b)};
  }
  static STARLING_INLINE Floats load_floats(const float* p) { return {_mm256_load_ps(p), _mm256_load_ps(p + 8)}; }
  static STARLING_INLINE void store_floats(Floats v, float* p) { _mm256_store_ps(p, v.a), _mm256_store_ps(p + 8, v.b); }
};

constexpr PackedKernels kAvx2 = PackedTable<Avx2>::named("AVX2");

}  // namespace
}  // namespace starling::core

#include "core/ops/packed_target_end.h"

namespace starling::core {
const PackedKernels& packed_avx2() { return kAvx2; }
}  // namespace starling::core
#endif

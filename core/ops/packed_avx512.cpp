// Integer kernels for AVX-512 with VNNI.
#if defined(__x86_64__)
#include <immintrin.h>

#if !defined(__clang__)
// g++ 12 takes _mm512_undefined_ps() of its own header for a mistake (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include "core/ops/packed_layout.h"

#define STARLING_TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"
#include "core/ops/packed_target_begin.h"

#include "core/ops/packed_kernel.h"

namespace starling::core {
namespace {

struct Avx512 {
  static constexpr std::size_t kGroups = 2, kRows = 6;
  using Ints = __m512i;
  using Floats = __m512;
  using Codes = __m512i;
  using Quad = __m512i;

  static STARLING_INLINE Ints splat(int v) { return _mm512_set1_epi32(v); }
  static STARLING_INLINE Floats splat(float v) { return _mm512_set1_ps(v); }
  static STARLING_INLINE Codes load(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
  /// What moves in from a neighbour's byte is masked away.
  template <int kShift, int kMask>
  static STARLING_INLINE Codes field(Codes codes) {
    if constexpr (kShift > 0)
      codes = _mm512_slli_epi16(codes, kShift);
    else if constexpr (kShift < 0)
      codes = _mm512_srli_epi16(codes, -kShift);
    return _mm512_and_si512(codes, _mm512_set1_epi8(kMask));
  }
  static STARLING_INLINE Codes either(Codes a, Codes b) { return _mm512_or_si512(a, b); }
  static STARLING_INLINE Quad quad(const std::int8_t* p) {
    std::int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
  }
  static STARLING_INLINE Ints dot(Ints sum, Codes codes, Quad quad) { return _mm512_dpbusd_epi32(sum, codes, quad); }
  static STARLING_INLINE Ints start_wide(int sum) { return splat(-128 * sum); }
  static STARLING_INLINE Ints dot_wide(Ints sum, Codes codes, Quad quad) { return dot(sum, codes, quad); }
  static STARLING_INLINE Floats floats(Ints v) { return _mm512_cvtepi32_ps(v); }
  static STARLING_INLINE Floats halves(const std::uint8_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static STARLING_INLINE Floats bytes(const std::uint8_t* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static STARLING_INLINE Ints signed_bytes(const std::uint8_t* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static STARLING_INLINE void nibble_ints(const std::uint8_t* p, Ints& low, Ints& high) {
    const __m512i both = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    low = _mm512_and_si512(both, _mm512_set1_epi32(15));
    high = _mm512_srli_epi32(both, 4);
  }
  static STARLING_INLINE Ints sum_of_products(Ints a, Ints b, Ints c, Ints d) {
    return _mm512_add_epi32(_mm512_mullo_epi32(a, b), _mm512_mullo_epi32(c, d));
  }
  static STARLING_INLINE Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static STARLING_INLINE Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static STARLING_INLINE Floats load_floats(const float* p) { return _mm512_load_ps(p); }
  static STARLING_INLINE void store_floats(Floats v, float* p) { _mm512_store_ps(p, v); }
};

constexpr PackedKernels kAvx512 = PackedTable<Avx512>::named("AVX-512 VNNI");

}  // namespace

}  // namespace starling::core

#include "core/ops/packed_target_end.h"

namespace starling::core {
const PackedKernels& packed_avx512() { return kAvx512; }
}  // namespace starling::core
#endif

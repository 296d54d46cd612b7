// Integer kernels in plain C++: the reference for all others, and what a processor without them uses.
#include <algorithm>
#include <cstring>

#include "core/ops/packed_kernel.h"
#include "core/quant/half.h"

namespace starling::core {
namespace {

struct Scalar {
  static constexpr std::size_t kGroups = 1, kRows = 1;
  struct Ints {
    std::int32_t lane[kPackedLanes];
  };
  struct Floats {
    float lane[kPackedLanes];
  };
  struct Codes {
    std::uint8_t byte[4 * kPackedLanes];
  };
  struct Quad {
    std::int8_t code[4];
  };

  static Ints splat(int v) {
    Ints r;
    for (std::int32_t& lane : r.lane) lane = v;
    return r;
  }
  static Floats splat(float v) {
    Floats r;
    for (float& lane : r.lane) lane = v;
    return r;
  }
  static Codes load(const std::uint8_t* p) {
    Codes r;
    std::memcpy(r.byte, p, sizeof r.byte);
    return r;
  }
  template <int kShift, int kMask>
  static Codes field(Codes codes) {
    for (std::uint8_t& byte : codes.byte) {
      const unsigned bits = byte;
      byte = static_cast<std::uint8_t>((kShift >= 0 ? bits << std::max(kShift, 0) : bits >> std::max(-kShift, 0)) & kMask);
    }
    return codes;
  }
  static Codes either(Codes a, const Codes& b) {
    for (std::size_t i = 0; i < sizeof a.byte; ++i) a.byte[i] |= b.byte[i];
    return a;
  }
  static Quad quad(const std::int8_t* p) {
    Quad r;
    std::memcpy(r.code, p, sizeof r.code);
    return r;
  }
  static Ints dot_from(Ints sum, const Codes& codes, const Quad& quad, int zero) {
    for (std::size_t l = 0; l < kPackedLanes; ++l)
      for (std::size_t i = 0; i < 4; ++i) sum.lane[l] += (codes.byte[4 * l + i] - zero) * quad.code[i];
    return sum;
  }
  static Ints dot(const Ints& sum, const Codes& codes, const Quad& quad) { return dot_from(sum, codes, quad, 0); }
  static Ints start_wide(int) { return splat(0); }
  static Ints dot_wide(const Ints& sum, const Codes& codes, const Quad& quad) { return dot_from(sum, codes, quad, 128); }
  static Floats floats(const Ints& v) {
    Floats r;
    for (std::size_t l = 0; l < kPackedLanes; ++l) r.lane[l] = static_cast<float>(v.lane[l]);
    return r;
  }
  static Floats halves(const std::uint8_t* p) {
    Floats r;
    for (std::size_t l = 0; l < kPackedLanes; ++l) {
      std::uint16_t half;
      std::memcpy(&half, p + 2 * l, sizeof half);
      r.lane[l] = float_from_f16(half);
    }
    return r;
  }
  static Floats bytes(const std::uint8_t* p) {
    Floats r;
    for (std::size_t l = 0; l < kPackedLanes; ++l) r.lane[l] = static_cast<float>(p[l]);
    return r;
  }
  static Ints signed_bytes(const std::uint8_t* p) {
    Ints r;
    for (std::size_t l = 0; l < kPackedLanes; ++l) r.lane[l] = static_cast<std::int8_t>(p[l]);
    return r;
  }
  static void nibble_ints(const std::uint8_t* p, Ints& low, Ints& high) {
    for (std::size_t l = 0; l < kPackedLanes; ++l) low.lane[l] = p[l] & 15, high.lane[l] = p[l] >> 4;
  }
  static Ints sum_of_products(Ints a, const Ints& b, const Ints& c, const Ints& d) {
    for (std::size_t l = 0; l < kPackedLanes; ++l) a.lane[l] = a.lane[l] * b.lane[l] + c.lane[l] * d.lane[l];
    return a;
  }
  static Floats mul(Floats a, const Floats& b) {
    for (std::size_t l = 0; l < kPackedLanes; ++l) a.lane[l] *= b.lane[l];
    return a;
  }
  static Floats fma(const Floats& a, const Floats& b, Floats c) {
    for (std::size_t l = 0; l < kPackedLanes; ++l) c.lane[l] = __builtin_fmaf(a.lane[l], b.lane[l], c.lane[l]);
    return c;
  }
  static Floats load_floats(const float* p) {
    Floats r;
    std::memcpy(r.lane, p, sizeof r.lane);
    return r;
  }
  static void store_floats(const Floats& v, float* p) { std::memcpy(p, v.lane, sizeof v.lane); }
};

constexpr PackedKernels kScalar = PackedTable<Scalar>::named("scalar");

}  // namespace

const PackedKernels& packed_scalar() { return kScalar; }

}  // namespace starling::core

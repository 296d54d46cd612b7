// Rows of stored weights as vectors of exact F32 values: one reader per type, the same interface.
//   step     columns that load() delivers at once; a sum may start at any multiple of it
//   load32   the 32 weights from column k          load16  the 16 from column k
//   tail     the n < 16 weights from column k, zeros after them
// A block scale times an integer code is exact in F32 (at most 11 + 6 + 7 bits of significand), so every type gives
// the bits that its dequantised F32 weights would give.
#if defined(STARLING_CORE_OPS_WEIGHTS_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STARLING_CORE_OPS_WEIGHTS_H_
#undef STARLING_CORE_OPS_WEIGHTS_H_
#else
#define STARLING_CORE_OPS_WEIGHTS_H_
#endif

#include "core/ops/simd.h"
#include "core/quant/sub_blocks.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

using DU16 = hn::Rebind<std::uint16_t, DF>;

struct F32Row {
  static constexpr std::size_t kBlock = 1, kBlockBytes = 4;
  const float* p;
  explicit F32Row(const std::byte* row) : p(reinterpret_cast<const float*>(row)) {}
  HWY_INLINE V16 load16(std::size_t k) const { return HWY_NAMESPACE::load16(p + k); }
  HWY_INLINE void load32(std::size_t k, V16& a, V16& b) const { a = load16(k), b = load16(k + kVirtual); }
  HWY_INLINE V16 tail(std::size_t k, std::size_t n) const { return load_tail(p + k, n); }
};

/// Two-byte types: Decode makes floats of a vector of 16-bit words.
template <class Decode>
struct WordRow {
  static constexpr std::size_t kBlock = 1, kBlockBytes = 2;
  const std::uint16_t* p;
  explicit WordRow(const std::byte* row) : p(reinterpret_cast<const std::uint16_t*>(row)) {}
  static HWY_INLINE V16 decode(const std::uint16_t* words) {
    V16 r;
    for (std::size_t i = 0; i < kVectors; ++i) r.part[i] = Decode::floats(hn::LoadU(DU16(), words + i * kLanes));
    return r;
  }
  HWY_INLINE V16 load16(std::size_t k) const { return decode(p + k); }
  HWY_INLINE void load32(std::size_t k, V16& a, V16& b) const { a = load16(k), b = load16(k + kVirtual); }
  HWY_INLINE V16 tail(std::size_t k, std::size_t n) const {
    std::uint16_t padded[kVirtual] = {};
    std::memcpy(padded, p + k, n * sizeof(std::uint16_t));
    return decode(padded);
  }
};

struct F16Words {
  static HWY_INLINE VF floats(hn::Vec<DU16> words) {
    return hn::PromoteTo(DF(), hn::BitCast(hn::Rebind<hwy::float16_t, DF>(), words));
  }
};

struct BF16Words {
  static HWY_INLINE VF floats(hn::Vec<DU16> words) {
    const hn::Rebind<std::uint32_t, DF> d32;
    return hn::BitCast(DF(), hn::ShiftLeft<16>(hn::PromoteTo(d32, words)));
  }
};

using F16Row = WordRow<F16Words>;
using BF16Row = WordRow<BF16Words>;

/// The binary16 scale at the head of a block, in all lanes.
HWY_INLINE VF block_scale(const std::byte* block) {
  std::uint16_t bits;
  std::memcpy(&bits, block, sizeof bits);
  return F16Words::floats(hn::Set(DU16(), bits));
}

template <class V>
HWY_INLINE VF scaled(VF scale, V codes) {
  return hn::Mul(scale, hn::ConvertTo(DF(), hn::PromoteTo(hn::Rebind<std::int32_t, DF>(), codes)));
}

struct Q8Row {
  static constexpr std::size_t kBlock = 32, kBlockBytes = 34;
  const std::byte* p;
  explicit Q8Row(const std::byte* row) : p(row) {}
  static HWY_INLINE V16 half(const std::byte* block, VF scale, std::size_t first) {
    const auto* codes = reinterpret_cast<const std::int8_t*>(block + 2 + first);
    V16 r;
    for (std::size_t i = 0; i < kVectors; ++i)
      r.part[i] = scaled(scale, hn::LoadU(hn::Rebind<std::int8_t, DF>(), codes + i * kLanes));
    return r;
  }
  HWY_INLINE V16 load16(std::size_t k) const {
    const std::byte* block = p + k / kBlock * kBlockBytes;
    return half(block, block_scale(block), k % kBlock);
  }
  HWY_INLINE void load32(std::size_t k, V16& a, V16& b) const {
    const std::byte* block = p + k / kBlock * kBlockBytes;
    const VF scale = block_scale(block);
    a = half(block, scale, 0), b = half(block, scale, kVirtual);
  }
  HWY_INLINE V16 tail(std::size_t, std::size_t) const { return zero16(); }  // rows are whole blocks
};

struct Q4Row {
  static constexpr std::size_t kBlock = 32, kBlockBytes = 18;
  const std::byte* p;
  explicit Q4Row(const std::byte* row) : p(row) {}
  /// Values 0..15 of a block are the low nibbles of its bytes, 16..31 the high ones; 8 stands for zero.
  template <bool kHigh>
  static HWY_INLINE V16 half(const std::byte* block, VF scale) {
    const hn::Rebind<std::uint8_t, DF> du;
    const hn::Rebind<std::int8_t, DF> di;
    const auto* pairs = reinterpret_cast<const std::uint8_t*>(block + 2);
    V16 r;
    for (std::size_t i = 0; i < kVectors; ++i) {
      const auto pair = hn::LoadU(du, pairs + i * kLanes);
      const auto nibble = kHigh ? hn::ShiftRight<4>(pair) : hn::And(pair, hn::Set(du, 15));
      r.part[i] = scaled(scale, hn::Sub(hn::BitCast(di, nibble), hn::Set(di, 8)));
    }
    return r;
  }
  HWY_INLINE V16 load16(std::size_t k) const {
    const std::byte* block = p + k / kBlock * kBlockBytes;
    return k % kBlock == 0 ? half<false>(block, block_scale(block)) : half<true>(block, block_scale(block));
  }
  HWY_INLINE void load32(std::size_t k, V16& a, V16& b) const {
    const std::byte* block = p + k / kBlock * kBlockBytes;
    const VF scale = block_scale(block);
    a = half<false>(block, scale), b = half<true>(block, scale);
  }
  HWY_INLINE V16 tail(std::size_t, std::size_t) const { return zero16(); }
};

/// Types without a reader of their own: 32 weights are decoded to floats and loaded from there.
template <class Block>
struct BlockRow {
  static constexpr std::size_t kBlock = Block::kValues, kBlockBytes = Block::kBytes;
  const std::byte* p;
  explicit BlockRow(const std::byte* row) : p(row) {}
  HWY_INLINE void decode(std::size_t k, float* values) const {
    Block::expand(p + k / kBlock * kBlockBytes, k % kBlock / kSubBlock, values);
  }
  HWY_INLINE V16 load16(std::size_t k) const {
    alignas(64) float values[kSubBlock];
    decode(k, values);
    return HWY_NAMESPACE::load16(values + k % kSubBlock);
  }
  HWY_INLINE void load32(std::size_t k, V16& a, V16& b) const {
    alignas(64) float values[kSubBlock];
    decode(k, values);
    a = HWY_NAMESPACE::load16(values), b = HWY_NAMESPACE::load16(values + kVirtual);
  }
  HWY_INLINE V16 tail(std::size_t, std::size_t) const { return zero16(); }
};

using Q41Row = BlockRow<Q41Block>;
using Q50Row = BlockRow<Q50Block>;
using Q51Row = BlockRow<Q51Block>;
using Q2KRow = BlockRow<Q2KBlock>;
using Q3KRow = BlockRow<Q3KBlock>;
using Q4KRow = BlockRow<Q4KBlock>;
using Q5KRow = BlockRow<Q5KBlock>;
using Q6KRow = BlockRow<Q6KBlock>;

/// Weights [begin, end) of a row to consecutive floats; `out` has room for a multiple of 16.
template <class Row>
HWY_INLINE void expand(const Row& row, std::size_t begin, std::size_t end, float* out) {
  std::size_t k = begin;
  for (; k + 2 * kVirtual <= end; k += 2 * kVirtual, out += 2 * kVirtual) {
    V16 a, b;
    row.load32(k, a, b);
    store16(a, out), store16(b, out + kVirtual);
  }
  for (; k + kVirtual <= end; k += kVirtual, out += kVirtual) store16(row.load16(k), out);
  if (k < end) store16(row.tail(k, end - k), out);
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

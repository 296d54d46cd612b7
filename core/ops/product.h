// Products of stored weight rows with F32 rows, in units of the summed dimension: what matmul and the grid
// sums share. Every output walks its columns in one order (simd.h), so a result has the same bits for one
// row or many, from any thread.
#if defined(STARLING_CORE_OPS_PRODUCT_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STARLING_CORE_OPS_PRODUCT_H_
#undef STARLING_CORE_OPS_PRODUCT_H_
#else
#define STARLING_CORE_OPS_PRODUCT_H_
#endif

#include <algorithm>
#include <type_traits>

#include "core/ops/product_job.h"
#include "core/ops/weights.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

constexpr std::size_t kOutputs = 4;    // weight rows of a tile
constexpr std::size_t kRowBlock = 64;  // rows of x that share one expansion of the weights
constexpr std::size_t kChunk = 512;    // columns of a tile that stay in the first cache level
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
constexpr std::size_t kTileRows = 4;  // rows of x of a tile: 16 sums fill half of the 32 registers
#else
constexpr std::size_t kTileRows = 1;
#endif
constexpr std::size_t kTileSums = kTileRows * kOutputs;

struct Tile {
  V16 sum[kTileRows][kOutputs];
};

/// sums[row][output] of the tile.
HWY_INLINE void store_tile(const Tile& t, float* sums) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  VF v[kOutputs];
  for (std::size_t o = 0; o < kOutputs; ++o) v[o] = fold4_blocks(t.sum[0][o], t.sum[1][o], t.sum[2][o], t.sum[3][o]);
  hn::StoreU(transpose_add(DF(), v[0], v[1], v[2], v[3]), DF(), sums);
#else
  for (std::size_t r = 0; r < kTileRows; ++r) store_sums(t.sum[r], sums + r * kOutputs);
#endif
}

HWY_INLINE void tile_step(const V16 (&w)[kOutputs], const V16 (&x)[kTileRows], Tile& t) {
  for (std::size_t r = 0; r < kTileRows; ++r)
    for (std::size_t o = 0; o < kOutputs; ++o) add_product(t.sum[r][o], w[o], x[r]);
}

/// One row of x, four weight rows at once straight from their stored form: bound by memory, so the weights
/// are read once and in order.
template <class Row>
HWY_INLINE void vector_columns(const Row (&w)[kOutputs], std::size_t first, const float* x, std::size_t begin, std::size_t end,
                               V16 (&sum)[kOutputs]) {
  for (std::size_t o = 0; o < kOutputs; ++o) sum[o] = zero16();
  std::size_t k = begin;
  for (; k + 2 * kVirtual <= end; k += 2 * kVirtual) {
    const V16 x0 = load16(x + k), x1 = load16(x + k + kVirtual);
    for (std::size_t o = 0; o < kOutputs; ++o) {
      V16 a, b;
      w[o].load32(first + k, a, b);
      add_product(sum[o], a, x0);
      add_product(sum[o], b, x1);
    }
  }
  if (k + kVirtual <= end) {
    for (std::size_t o = 0; o < kOutputs; ++o) add_product(sum[o], w[o].load16(first + k), load16(x + k));
    k += kVirtual;
  }
  if (k < end)
    for (std::size_t o = 0; o < kOutputs; ++o) add_product(sum[o], w[o].tail(first + k, end - k), load_tail(x + k, end - k));
}

template <class Row>
Row weight_row(const ProductJob& job, std::size_t output, std::size_t end) {
  return Row(job.weights + std::min(output, end - 1) * job.row_bytes);  // past the end: the last row, not written
}

/// Outputs [begin, end) of one row of x. Sink: start(), add(first sum, sums, count) for every unit in
/// order, finish(first output, outputs, first row, rows).
template <class Row, class Sink>
void vector_product(const ProductJob& job, std::size_t begin, std::size_t end, Sink& sink) {
  for (std::size_t output = begin; output < end; output += kOutputs) {
    const Row w[kOutputs] = {weight_row<Row>(job, output, end), weight_row<Row>(job, output + 1, end),
                             weight_row<Row>(job, output + 2, end), weight_row<Row>(job, output + 3, end)};
    sink.start(kOutputs);
    for (std::size_t unit = 0; unit < job.columns; unit += job.unit) {
      V16 sum[kOutputs];
      vector_columns(w, job.first, job.x, unit, std::min(unit + job.unit, job.columns), sum);
      float sums[kOutputs];
      store_sums(sum, sums);
      sink.template add<kOutputs>(0, sums);
    }
    sink.finish(output, std::min(kOutputs, end - output), 0, 1);
  }
}

/// A tile over n columns inside a unit, n a multiple of 16: begins with zeros if `first`, else with `lanes`,
/// which keep the sums of a unit that is longer than a chunk; ends with sums[row][output] if `last`, else in
/// `lanes`. A function of its own, as its sixteen sums stay in registers only while nothing else wants any.
HWY_NOINLINE inline void tile_sums(const float* const (&w)[kOutputs], const float* const (&x)[kTileRows], std::size_t n,
                                   bool first, bool last, float* lanes, float* sums) {
  Tile tile;
  for (std::size_t i = 0; i < kTileSums; ++i)
    tile.sum[i / kOutputs][i % kOutputs] = first ? zero16() : load16(lanes + i * kVirtual);
  for (std::size_t k = 0; k < n; k += kVirtual) {
    V16 a[kOutputs], b[kTileRows];
    for (std::size_t o = 0; o < kOutputs; ++o) a[o] = load16(w[o] + k);
    for (std::size_t r = 0; r < kTileRows; ++r) b[r] = load16(x[r] + k);
    tile_step(a, b, tile);
  }
  if (last)
    store_tile(tile, sums);
  else
    for (std::size_t i = 0; i < kTileSums; ++i) store16(tile.sum[i / kOutputs][i % kOutputs], lanes + i * kVirtual);
}

/// Columns [begin, end) inside a unit: a multiple of 16, or fewer than 16 that count as padded with zeros.
struct Stretch {
  std::size_t begin, end;
  bool first, last;  // of its unit
};

/// One panel: four outputs, `rows` <= kRowBlock rows of x from `row`.
template <class Sink>
HWY_INLINE void panel_columns(const ProductJob& job, const float* const (&w)[kOutputs], std::size_t row, std::size_t rows,
                              const Stretch& s, float* open, Sink& sink) {
  const std::size_t n = s.end - s.begin;
  alignas(64) float padded[kTileRows][kVirtual] = {};
  for (std::size_t t = 0; t * kTileRows < rows; ++t) {
    const float* x[kTileRows];
    for (std::size_t r = 0; r < kTileRows; ++r) {
      x[r] = job.x + (row + std::min(t * kTileRows + r, rows - 1)) * job.columns + s.begin;
      if (n >= kVirtual) continue;
      std::memcpy(padded[r], x[r], n * sizeof(float));
      x[r] = padded[r];
    }
    float sums[kTileSums];
    tile_sums(w, x, std::max(n, kVirtual), s.first, s.last, open + t * kTileSums * kVirtual, sums);
    if (s.last) sink.template add<kTileSums>(t * kTileSums, sums);
  }
}

/// Weights of the stretch as floats: where they lie if they are floats already, else expanded.
template <class Row>
HWY_INLINE const float* weight_floats(const Row& row, std::size_t first, const Stretch& s, float* expanded) {
  if constexpr (std::is_same_v<Row, F32Row>) {
    if (s.end - s.begin >= kVirtual) return row.p + first + s.begin;
  }
  expand(row, first + s.begin, first + s.end, expanded);
  return expanded;
}

/// Many rows of x: stored weights are expanded once per block of rows into a scratch that stays in the cache.
template <class Row, class Sink>
void panel_product(const ProductJob& job, std::size_t begin, std::size_t end, Sink& sink) {
  alignas(64) float expanded[kOutputs][kChunk];
  alignas(64) float open[kRowBlock * kOutputs * kVirtual];
  for (std::size_t row = 0; row < job.rows; row += kRowBlock) {
    const std::size_t rows = std::min(kRowBlock, job.rows - row);
    for (std::size_t output = begin; output < end; output += kOutputs) {
      sink.start((rows + kTileRows - 1) / kTileRows * kTileSums);
      for (std::size_t unit = 0; unit < job.columns; unit += job.unit) {
        const std::size_t unit_end = std::min(unit + job.unit, job.columns);
        for (std::size_t k = unit, k_end; k < unit_end; k = k_end) {
          k_end = std::min(k + kChunk, unit_end);
          if (k_end - k > kVirtual) k_end -= (k_end - k) % kVirtual;
          const Stretch stretch{k, k_end, k == unit, k_end == unit_end};
          const float* w[kOutputs];
          for (std::size_t o = 0; o < kOutputs; ++o)
            w[o] = weight_floats(weight_row<Row>(job, output + o, end), job.first, stretch, expanded[o]);
          panel_columns(job, w, row, rows, stretch, open, sink);
        }
      }
      sink.finish(output, std::min(kOutputs, end - output), row, rows);
    }
  }
}

template <class Row, class Sink>
void product(const ProductJob& job, std::size_t begin, std::size_t end, Sink& sink) {
  if (job.rows == 1)
    vector_product<Row>(job, begin, end, sink);
  else
    panel_product<Row>(job, begin, end, sink);
}

template <class Sink>
void product(const ProductJob& job, std::size_t begin, std::size_t end, Sink& sink) {
  switch (job.type) {
    case Type::f32: return product<F32Row>(job, begin, end, sink);
    case Type::f16: return product<F16Row>(job, begin, end, sink);
    case Type::bf16: return product<BF16Row>(job, begin, end, sink);
    case Type::q8_0: return product<Q8Row>(job, begin, end, sink);
    case Type::q4_0: return product<Q4Row>(job, begin, end, sink);
    case Type::q4_1: return product<Q41Row>(job, begin, end, sink);
    case Type::q5_0: return product<Q50Row>(job, begin, end, sink);
    case Type::q5_1: return product<Q51Row>(job, begin, end, sink);
    case Type::q2_k: return product<Q2KRow>(job, begin, end, sink);
    case Type::q3_k: return product<Q3KRow>(job, begin, end, sink);
    case Type::q4_k: return product<Q4KRow>(job, begin, end, sink);
    case Type::q5_k: return product<Q5KRow>(job, begin, end, sink);
    case Type::q6_k: return product<Q6KRow>(job, begin, end, sink);
    default: fail(Kind::internal, "no product with weights of type {}", info(job.type).name);
  }
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

// Attention over the cache. A task is one query head and a few rows, so that a chunk of stored keys and values
// is expanded once for these rows.
#include "core/ops/attention.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "core/error.h"
#include "core/ops/attention_job.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/ops/attention.cpp"
#include <hwy/foreach_target.h>

#include "core/ops/functions.h"
#include "core/ops/weights.h"

HWY_BEFORE_NAMESPACE();
namespace starling::core::HWY_NAMESPACE {

constexpr std::size_t kChunkPositions = 32;
constexpr std::size_t kStrideMax = kHeadSizeMax;

/// The state of one row: running maximum, sum of weights and weighted sum of values (padded to 16s).
struct RunningRow {
  float largest, sum;
  alignas(64) float query[kStrideMax];
  alignas(64) float total[kStrideMax];
};

template <class Row>
void expand_rows(const std::byte* stored, std::size_t row_bytes, std::size_t count, std::size_t size, float* out,
                 std::size_t stride) {
  for (std::size_t i = 0; i < count; ++i) expand(Row(stored + i * row_bytes), 0, size, out + i * stride);
}

void expand_chunk(Type type, const std::byte* stored, std::size_t row_bytes, std::size_t count, std::size_t size, float* out,
                  std::size_t stride) {
  switch (type) {
    case Type::f32: return expand_rows<F32Row>(stored, row_bytes, count, size, out, stride);
    case Type::f16: return expand_rows<F16Row>(stored, row_bytes, count, size, out, stride);
    case Type::bf16: return expand_rows<BF16Row>(stored, row_bytes, count, size, out, stride);
    case Type::q8_0: return expand_rows<Q8Row>(stored, row_bytes, count, size, out, stride);
    default: return;  // no type of a cache
  }
}

/// What one row sees of a chunk: positions [begin, end) of it.
struct Seen {
  std::size_t begin, end;
};

HWY_INLINE void cap_scores(float* scores, float cap) {
  const DF d;
  for (std::size_t j = 0; j < kChunkPositions; j += kVirtual) {
    V16 s = load16(scores + j);
    for (std::size_t i = 0; i < kVectors; ++i)
      s.part[i] = hn::Mul(tanh_lanes(hn::Div(s.part[i], hn::Set(d, cap))), hn::Set(d, cap));
    store16(s, scores + j);
  }
}

/// scores[j] = scale * query . key j, perhaps capped, for what is seen of a chunk; the rest of the array is -infinity.
HWY_INLINE void chunk_scores(const float* query, const float* keys, std::size_t stride, const Seen& seen, const AttentionJob& job,
                             float* scores) {
  const std::size_t count = seen.end;
  for (std::size_t j = 0; j < kChunkPositions; j += 4) {
    V16 sum[4] = {zero16(), zero16(), zero16(), zero16()};
    if (j < count)
      for (std::size_t k = 0; k < stride; k += kVirtual) {
        const V16 q = load16(query + k);
        for (std::size_t i = 0; i < 4; ++i) add_product(sum[i], load16(keys + std::min(j + i, count - 1) * stride + k), q);
      }
    store_sums(sum, scores + j);
  }
  for (std::size_t j = 0; j < kChunkPositions; ++j) scores[j] *= job.scale;
  if (job.cap > 0) cap_scores(scores, job.cap);
  for (std::size_t j = 0; j < kChunkPositions; ++j)
    if (j < seen.begin || j >= seen.end) scores[j] = -std::numeric_limits<float>::infinity();
}

/// Replaces scores by exp(score - largest); returns their sum.
HWY_INLINE float chunk_weights(float* scores, float largest) {
  const DF d;
  V16 ones, sum = zero16();
  for (std::size_t i = 0; i < kVectors; ++i) ones.part[i] = hn::Set(d, 1.0f);
  for (std::size_t j = 0; j < kChunkPositions; j += kVirtual) {
    V16 w = load16(scores + j);
    for (std::size_t i = 0; i < kVectors; ++i) w.part[i] = exp_lanes(hn::Sub(w.part[i], hn::Set(d, largest)));
    store16(w, scores + j);
    add_product(sum, w, ones);
  }
  return sum16(sum);
}

/// total = total * decay + sum of weight j times value j, in order of j.
HWY_INLINE void add_values(const float* weights, const float* values, std::size_t stride, const Seen& seen, float decay,
                           float* total) {
  const DF d;
  for (std::size_t k = 0; k < stride; k += kVirtual) {
    V16 sum = load16(total + k);
    for (std::size_t i = 0; i < kVectors; ++i) sum.part[i] = hn::Mul(sum.part[i], hn::Set(d, decay));
    for (std::size_t j = seen.begin; j < seen.end; ++j) {
      V16 w;
      for (std::size_t i = 0; i < kVectors; ++i) w.part[i] = hn::Set(d, weights[j]);
      add_product(sum, w, load16(values + j * stride + k));
    }
    store16(sum, total + k);
  }
}

/// One chunk for one row, which sees some of its positions.
void visit_chunk(RunningRow& row, const float* keys, const float* values, std::size_t stride, const Seen& seen, const AttentionJob& job) {
  alignas(64) float scores[kChunkPositions];
  chunk_scores(row.query, keys, stride, seen, job, scores);
  float largest = row.largest;
  for (std::size_t j = seen.begin; j < seen.end; ++j) largest = std::max(largest, scores[j]);
  const float decay = row.sum == 0 ? 0.0f : hn::GetLane(exp_lanes(hn::Set(DF(), row.largest - largest)));
  const float sum = chunk_weights(scores, largest);
  row.sum = row.sum * decay + sum;
  row.largest = largest;
  add_values(scores, values, stride, seen, decay, row.total);
}

void attention_task(const AttentionJob& job, std::int64_t head, std::int64_t first, std::int64_t rows) {
  const CacheView& cache = job.cache;
  const auto size = static_cast<std::size_t>(cache.head_size);
  const std::size_t stride = (size + kVirtual - 1) / kVirtual * kVirtual;
  const TypeInfo& stored = info(cache.type);
  const std::size_t row_bytes = size / static_cast<std::size_t>(stored.block_length) * static_cast<std::size_t>(stored.block_bytes);
  const auto head_offset = static_cast<std::size_t>(head / (job.heads / cache.kv_heads) * cache.positions) * row_bytes;

  RunningRow state[kTaskRows];
  alignas(64) float scratch[2][kChunkPositions * kStrideMax];
  const auto offset = [&](std::int64_t row) { return static_cast<std::size_t>((first + row) * job.heads + head) * size; };
  for (std::int64_t r = 0; r < rows; ++r) {
    state[r].largest = -std::numeric_limits<float>::infinity(), state[r].sum = 0;
    std::fill_n(state[r].query, stride, 0.0f), std::fill_n(state[r].total, stride, 0.0f);
    std::copy_n(job.query + offset(r), size, state[r].query);
  }
  const auto visible = static_cast<std::size_t>(job.position + first + rows);  // to the last row
  // The first position that `row` sees. Chunks begin at fixed positions whatever it is.
  const auto lowest = [&](std::int64_t row) {
    const std::int64_t last = job.position + first + row;
    return static_cast<std::size_t>(job.window > 0 ? std::max<std::int64_t>(0, last + 1 - job.window) : 0);
  };
  for (std::size_t begin = lowest(0) / kChunkPositions * kChunkPositions; begin < visible; begin += kChunkPositions) {
    const std::size_t count = std::min(kChunkPositions, visible - begin);
    const float* chunk[2];
    for (const int part : {0, 1}) {
      const std::byte* in = (part == 0 ? cache.keys : cache.values) + head_offset + begin * row_bytes;
      chunk[part] = scratch[part];
      if (cache.type == Type::f32 && stride == size)
        chunk[part] = reinterpret_cast<const float*>(in);
      else
        expand_chunk(cache.type, in, row_bytes, count, size, scratch[part], stride);
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::size_t from = std::max(lowest(r), begin), to = std::min(begin + count, static_cast<std::size_t>(job.position + first + r + 1));
      if (from < to) visit_chunk(state[r], chunk[0], chunk[1], stride, {from - begin, to - begin}, job);
    }
  }
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::size_t k = 0; k < size; ++k) job.out[offset(r) + k] = state[r].total[k] / state[r].sum;
}

}  // namespace starling::core::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace starling::core {

HWY_EXPORT(attention_task);

void attention(std::span<const float> query, std::int64_t rows, std::int64_t heads, std::int64_t position,
               const CacheView& cache, std::span<float> out, Pool& pool, const AttentionRule& rule) {
  ensure(static_cast<std::int64_t>(query.size()) == rows * heads * cache.head_size && out.size() == query.size(),
         "sizes of an attention disagree");
  ensure(cache.type == Type::f32 || cache.type == Type::f16 || cache.type == Type::bf16 || cache.type == Type::q8_0,
         "attention over a cache of an unknown type");
  ensure(cache.head_size <= kHeadSizeMax && cache.kv_heads > 0 && heads % cache.kv_heads == 0, "an impossible attention");
  ensure(position >= 0 && rows <= cache.positions - position, "attention beyond the cache");
  const float scale = rule.scale > 0 ? rule.scale : static_cast<float>(1.0 / std::sqrt(static_cast<double>(cache.head_size)));
  const AttentionJob job{cache, query.data(), out.data(), rows, heads, position, scale, rule.cap, rule.window};
  const std::int64_t row_tasks = (rows + kTaskRows - 1) / kTaskRows;
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t first = task / heads * kTaskRows;
      HWY_DYNAMIC_DISPATCH(attention_task)(job, task % heads, first, std::min(kTaskRows, rows - first));
    }
  };
  const std::int64_t worthwhile = 1 + 16384 / ((position + rows) * cache.head_size * std::min(rows, kTaskRows));
  pool.parallel_for(row_tasks * heads, worthwhile, std::ref(body));
}

}  // namespace starling::core
#endif

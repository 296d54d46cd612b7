// Attention over the cache. A task is a few rows of the query heads that share a kv head, so that a chunk of stored
// keys and values is expanded once for all of them.
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

  friend bool operator==(const Seen&, const Seen&) = default;
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

/// Rows that go through a chunk together, so that a loaded key or value serves all of them.
constexpr std::int64_t kTile = kLanes == kVirtual ? 4 : 1;  // at most: 4, 2 or 1; others have too few registers

/// scores[r][j] = query r . key j for the keys before `end` of a chunk; what follows is no score.
template <std::size_t kRows>
HWY_INLINE void chunk_products(const RunningRow* rows, const float* keys, std::size_t stride, std::size_t end,
                               float (*scores)[kChunkPositions]) {
  for (std::size_t j = 0; j < end; j += 4) {
    V16 sum[kRows][4];
    for (std::size_t r = 0; r < kRows; ++r)
      for (std::size_t i = 0; i < 4; ++i) sum[r][i] = zero16();
    const float* key[4];
    for (std::size_t i = 0; i < 4; ++i) key[i] = keys + std::min(j + i, end - 1) * stride;
    for (std::size_t k = 0; k < stride; k += kVirtual) {
      V16 part[4];
      for (std::size_t i = 0; i < 4; ++i) part[i] = load16(key[i] + k);
      for (std::size_t r = 0; r < kRows; ++r) {
        const V16 q = load16(rows[r].query + k);
        for (std::size_t i = 0; i < 4; ++i) add_product(sum[r][i], part[i], q);
      }
    }
    for (std::size_t r = 0; r < kRows; ++r) store_sums(sum[r], scores[r] + j);
  }
}

/// Scaled and perhaps capped scores of what is seen; the rest of the array is -infinity.
HWY_INLINE void finish_scores(const Seen& seen, const AttentionJob& job, float* scores) {
  for (std::size_t j = 0; j < kChunkPositions; ++j) scores[j] *= job.scale;
  if (job.cap > 0) cap_scores(scores, job.cap);
  std::fill(scores, scores + seen.begin, -std::numeric_limits<float>::infinity());
  std::fill(scores + seen.end, scores + kChunkPositions, -std::numeric_limits<float>::infinity());
}

HWY_INLINE float chunk_largest(const float* scores) {
  const DF d;
  VF largest = hn::LoadU(d, scores);
  for (std::size_t j = kLanes; j < kChunkPositions; j += kLanes) largest = hn::Max(largest, hn::LoadU(d, scores + j));
  return hn::GetLane(hn::MaxOfLanes(d, largest));
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

/// total = total * decay + sum of weight j times value j, in order of j, for kBlocks vectors of 16 at k of several rows: many
/// sums side by side, so that none waits for itself.
template <std::size_t kRows, std::size_t kBlocks>
HWY_INLINE void add_values_at(std::size_t k, const float (*weights)[kChunkPositions], const float* values, std::size_t stride,
                              const Seen& seen, const float* decay, RunningRow* rows) {
  const DF d;
  V16 sum[kRows][kBlocks];
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t b = 0; b < kBlocks; ++b) {
      sum[r][b] = load16(rows[r].total + k + b * kVirtual);
      for (std::size_t i = 0; i < kVectors; ++i) sum[r][b].part[i] = hn::Mul(sum[r][b].part[i], hn::Set(d, decay[r]));
    }
  for (std::size_t j = seen.begin; j < seen.end; ++j) {
    V16 value[kBlocks];
    for (std::size_t b = 0; b < kBlocks; ++b) value[b] = load16(values + j * stride + k + b * kVirtual);
    for (std::size_t r = 0; r < kRows; ++r) {
      V16 w;
      for (std::size_t i = 0; i < kVectors; ++i) w.part[i] = hn::Set(d, weights[r][j]);
      for (std::size_t b = 0; b < kBlocks; ++b) add_product(sum[r][b], w, value[b]);
    }
  }
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t b = 0; b < kBlocks; ++b) store16(sum[r][b], rows[r].total + k + b * kVirtual);
}

/// One chunk for rows which see the same of its positions.
template <std::size_t kRows>
void visit_chunk(RunningRow* rows, const float* keys, const float* values, std::size_t stride, const Seen& seen, const AttentionJob& job) {
  alignas(64) float scores[kRows][kChunkPositions] = {};
  float decay[kRows];
  chunk_products<kRows>(rows, keys, stride, seen.end, scores);
  for (std::size_t r = 0; r < kRows; ++r) {
    RunningRow& row = rows[r];
    finish_scores(seen, job, scores[r]);
    const float largest = std::max(row.largest, chunk_largest(scores[r]));
    decay[r] = row.sum == 0 ? 0.0f : hn::GetLane(exp_lanes(hn::Set(DF(), row.largest - largest)));
    row.sum = row.sum * decay[r] + chunk_weights(scores[r], largest);
    row.largest = largest;
  }
  std::size_t k = 0;
  for (; k + 4 * kVirtual <= stride; k += 4 * kVirtual) add_values_at<kRows, 4>(k, scores, values, stride, seen, decay, rows);
  for (; k < stride; k += kVirtual) add_values_at<kRows, 1>(k, scores, values, stride, seen, decay, rows);
}

/// Rows [first, first + rows) of kv head `kv`: row r is query head r % group of that kv head at place r / group.
void attention_task(const AttentionJob& job, std::int64_t kv, std::int64_t first, std::int64_t rows) {
  const CacheView& cache = job.cache;
  const auto size = static_cast<std::size_t>(cache.head_size);
  const std::size_t stride = (size + kVirtual - 1) / kVirtual * kVirtual;
  const TypeInfo& stored = info(cache.type);
  const std::size_t row_bytes = size / static_cast<std::size_t>(stored.block_length) * static_cast<std::size_t>(stored.block_bytes);
  const auto head_offset = static_cast<std::size_t>(kv * cache.positions) * row_bytes;
  const std::int64_t group = job.group();

  RunningRow state[kTaskRows];
  alignas(64) float scratch[2][kChunkPositions * kStrideMax];
  const auto offset = [&](std::int64_t row) {
    return static_cast<std::size_t>((first + row) / group * job.heads + kv * group + (first + row) % group) * size;
  };
  for (std::int64_t r = 0; r < rows; ++r) {
    state[r].largest = -std::numeric_limits<float>::infinity(), state[r].sum = 0;
    std::fill_n(state[r].query, stride, 0.0f), std::fill_n(state[r].total, stride, 0.0f);
    std::copy_n(job.query + offset(r), size, state[r].query);
  }
  const auto last = [&](std::int64_t row) { return job.position + (first + row) / group; };  // what it sees, its own position
  // The first position that `row` sees. Chunks begin at fixed positions whatever it is.
  const auto lowest = [&](std::int64_t row) {
    return static_cast<std::size_t>(job.window > 0 ? std::max<std::int64_t>(0, last(row) + 1 - job.window) : 0);
  };
  const auto visible = static_cast<std::size_t>(last(rows - 1) + 1);
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
    const auto seen_by = [&](std::int64_t row) {
      const std::size_t from = std::max(lowest(row), begin), to = std::min(begin + count, static_cast<std::size_t>(last(row) + 1));
      return Seen{from - begin, std::max(from, to) - begin};
    };
    for (std::int64_t r = 0; r < rows;) {
      const Seen seen = seen_by(r);
      const auto fits = [&](std::int64_t n) { return n <= kTile && r + n <= rows && seen == seen_by(r + n - 1); };
      const std::int64_t n = fits(4) ? 4 : fits(2) ? 2 : 1;
      if (seen.begin < seen.end) {
        const auto visit = n == 4 ? visit_chunk<4> : n == 2 ? visit_chunk<2> : visit_chunk<1>;
        visit(state + r, chunk[0], chunk[1], stride, seen, job);
      }
      r += n;
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

namespace {

/// Tasks [begin, end) of those of a part, which are numbers [0, job.tasks()).
void run_tasks(const AttentionJob& job, std::int64_t begin, std::int64_t end) {
  for (std::int64_t task = begin; task < end; ++task) {
    const std::int64_t first = task / job.cache.kv_heads * kTaskRows;
    HWY_DYNAMIC_DISPATCH(attention_task)(job, task % job.cache.kv_heads, first, std::min(kTaskRows, job.places * job.group() - first));
  }
}

}  // namespace

void attention(std::span<const float> query, std::int64_t heads, std::span<const AttentionPart> parts, std::span<float> out, Pool& pool,
               const AttentionRule& rule) {
  ensure(!parts.empty() && out.size() == query.size(), "sizes of an attention disagree");
  const CacheView& like = parts.front().cache;
  ensure(like.type == Type::f32 || like.type == Type::f16 || like.type == Type::bf16 || like.type == Type::q8_0, "attention over a cache of an unknown type");
  ensure(like.head_size <= kHeadSizeMax && like.kv_heads > 0 && heads % like.kv_heads == 0, "an impossible attention");
  const float scale = rule.scale > 0 ? rule.scale : static_cast<float>(1.0 / std::sqrt(static_cast<double>(like.head_size)));
  const auto job_of = [&](const AttentionPart& part, std::int64_t place) {
    const auto offset = place * heads * like.head_size;
    return AttentionJob{part.cache, query.data() + offset, out.data() + offset, part.rows, heads, part.position, scale, rule.cap, rule.window};
  };
  std::int64_t places = 0, tasks = 0, visits = 0;
  for (const AttentionPart& part : parts) {
    ensure(part.cache.type == like.type && part.cache.head_size == like.head_size && part.cache.kv_heads == like.kv_heads,
           "caches of different kinds in one attention");
    ensure(part.position >= 0 && part.rows > 0 && part.rows <= part.cache.positions - part.position, "attention beyond the cache");
    tasks += job_of(part, places).tasks();
    places += part.rows;
    visits += (part.position + part.rows) * part.rows * heads;
  }
  ensure(static_cast<std::int64_t>(query.size()) == places * heads * like.head_size, "sizes of an attention disagree");
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    std::int64_t place = 0, first = 0;  // of the part: its first place and task
    for (const AttentionPart& part : parts) {
      const AttentionJob job = job_of(part, place);
      const std::int64_t last = first + job.tasks();
      if (begin < last && end > first) run_tasks(job, std::max(begin, first) - first, std::min(end, last) - first);
      first = last;
      place += part.rows;
    }
  };
  const std::int64_t worthwhile = 1 + 16384 / (1 + visits / tasks * like.head_size);
  pool.parallel_for(tasks, worthwhile, std::ref(body));
}

}  // namespace starling::core
#endif

// Softmax attention and rotary positions over whole sequences.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/ops/gemm.h"
#include "core/ops/rope.h"
#include "core/train/ops.h"

namespace starling::core {
namespace {

struct Heads {
  std::int64_t batch, length, heads, kv_heads, size;
  bool causal;

  std::int64_t group() const { return heads / kv_heads; }
  /// Positions [first, first + count) of head `head` of sequence `b` of a value {batch, length, heads_of_it * size}.
  MatrixView view(const float* data, std::int64_t b, std::int64_t head, std::int64_t heads_of_it, std::int64_t first, std::int64_t count) const {
    return {data + ((b * length + first) * heads_of_it + head) * size, count, size, heads_of_it * size, 1};
  }
  float* place(float* data, std::int64_t b, std::int64_t head, std::int64_t heads_of_it, std::int64_t first) const {
    return data + ((b * length + first) * heads_of_it + head) * size;
  }
  float scale() const { return 1 / std::sqrt(static_cast<float>(size)); }
};

/// Positions that attend together, to the first `seen` ones; their weights {rows, seen} lie at `offset` of their head's.
struct Block {
  std::int64_t first, rows, seen, offset;
};

/// A causal position needs no scores of later ones: the blocks grow.
Block block_of(const Heads& h, std::int64_t index) {
  constexpr std::int64_t kRows = 32;
  if (!h.causal) return {0, h.length, h.length, 0};
  const std::int64_t first = index * kRows, rows = std::min(kRows, h.length - first);
  return {first, rows, first + rows, kRows * kRows * (index * (index + 1) / 2)};
}

std::int64_t weights_each(const Heads& h) {
  for (std::int64_t index = 0;; ++index)
    if (const Block b = block_of(h, index); b.seen == h.length) return b.offset + b.rows * b.seen;
}

Heads heads_of(const Tape& t, Var q, Var k, Var v, std::int64_t heads, std::int64_t kv_heads, bool causal) {
  const Shape& shape = t.shape(q);
  ensure(shape.size() == 3 && shape[1] > 0 && heads > 0 && kv_heads > 0 && heads % kv_heads == 0 && shape[2] % heads == 0,
         "heads do not divide the width");
  const Heads h{shape[0], shape[1], heads, kv_heads, shape[2] / heads, causal};
  ensure(t.shape(k) == Shape{h.batch, h.length, kv_heads * h.size} && t.shape(v) == t.shape(k), "keys and values of another shape");
  return h;
}

struct Inputs {
  const float *q, *k, *v;
};

/// Head `i` of all sequences: its weights and its part of `out`.
void attend(const Heads& h, const Inputs& in, std::int64_t i, float* weights, float* out, Pool& pool) {
  const std::int64_t b = i / h.heads, head = i % h.heads, kv = head / h.group();
  Block block{};
  for (std::int64_t index = 0; block.seen < h.length; ++index) {
    block = block_of(h, index);
    float* w = weights + block.offset;
    const std::span<float> all(w, static_cast<std::size_t>(block.rows * block.seen));
    gemm_alone(h.view(in.q, b, head, h.heads, block.first, block.rows), transposed(h.view(in.k, b, kv, h.kv_heads, 0, block.seen)), w, block.seen, false);
    scale(h.scale(), all, all);
    for (std::int64_t row = 0; h.causal && row < block.rows; ++row)
      std::fill(w + row * block.seen + block.first + row + 1, w + (row + 1) * block.seen, -std::numeric_limits<float>::infinity());
    softmax(all, block.seen, all, pool);
    gemm_alone(row_major(w, block.rows, block.seen), h.view(in.v, b, kv, h.kv_heads, 0, block.seen), h.place(out, b, head, h.heads, block.first),
               h.heads * h.size, false);
  }
}

struct Gradients {
  float *q, *k, *v;
};

/// Adds what head `i` gives; `d` has room for the weights of one block.
void attend_backward(const Heads& h, const Inputs& in, std::int64_t i, const float* weights, const float* dy, float* d, const Gradients& to) {
  const std::int64_t b = i / h.heads, head = i % h.heads, kv = head / h.group();
  Block block{};
  for (std::int64_t index = 0; block.seen < h.length; ++index) {
    block = block_of(h, index);
    const MatrixView w = row_major(weights + block.offset, block.rows, block.seen), slopes = row_major(d, block.rows, block.seen);
    const MatrixView d_out = h.view(dy, b, head, h.heads, block.first, block.rows);
    gemm_alone(transposed(w), d_out, h.place(to.v, b, kv, h.kv_heads, 0), h.kv_heads * h.size, true);
    gemm_alone(d_out, transposed(h.view(in.v, b, kv, h.kv_heads, 0, block.seen)), d, block.seen, false);
    const auto n = static_cast<std::size_t>(block.seen);
    for (std::int64_t row = 0; row < block.rows; ++row) {
      float* slope = d + row * block.seen;
      const float* weight = w.data + row * block.seen;
      const float mean = dot({slope, n}, {weight, n});
      for (std::size_t j = 0; j < n; ++j) slope[j] = h.scale() * weight[j] * (slope[j] - mean);
    }
    gemm_alone(slopes, h.view(in.k, b, kv, h.kv_heads, 0, block.seen), h.place(to.q, b, head, h.heads, block.first), h.heads * h.size, true);
    gemm_alone(transposed(slopes), h.view(in.q, b, head, h.heads, block.first, block.rows), h.place(to.k, b, kv, h.kv_heads, 0), h.kv_heads * h.size,
               true);
  }
}

}  // namespace

Var attention(Tape& t, Var q, Var k, Var v, std::int64_t heads, std::int64_t kv_heads, bool causal) {
  const Heads h = heads_of(t, q, k, v, heads, kv_heads, causal);
  const Var y = t.make(t.shape(q), t.wants(q) || t.wants(k) || t.wants(v));
  const Arena::Mark before = t.arena().mark();
  const std::int64_t each = weights_each(h);
  float* weights = t.arena().floats(static_cast<std::size_t>(h.batch * h.heads * each));
  const Inputs in{t.value(q).data(), t.value(k).data(), t.value(v).data()};
  float* out = t.value(y).data();
  const auto forward = [&](std::int64_t begin, std::int64_t end) {
    Pool mine(1);
    for (std::int64_t i = begin; i < end; ++i) attend(h, in, i, weights + i * each, out, mine);
  };
  t.pool().parallel_for(h.batch * h.heads, 1, std::ref(forward));
  if (!t.wants(y)) {
    t.arena().release(before);
    return y;
  }
  t.on_backward([=](Tape& tape) {
    const Gradients to{tape.gradient(q).data(), tape.gradient(k).data(), tape.gradient(v).data()};
    const float* dy = tape.gradient(y).data();
    Arena& arena = tape.arena();
    const Arena::Mark mark = arena.mark();
    const std::int64_t room = block_of(h, 0).rows * h.length;
    float* d = arena.floats(static_cast<std::size_t>(h.batch * h.kv_heads * room));
    // Heads that share keys and values add to the same gradients: one after the other.
    const auto backward = [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        for (std::int64_t head = i * h.group(); head < (i + 1) * h.group(); ++head) attend_backward(h, in, head, weights + head * each, dy, d + i * room, to);
    };
    tape.pool().parallel_for(h.batch * h.kv_heads, 1, std::ref(backward));
    arena.release(mark);
  });
  return y;
}

Var rotary(Tape& t, Var x, std::int64_t head_size, float base) {
  const Shape& shape = t.shape(x);
  ensure(shape.size() == 3 && head_size > 0 && head_size % 2 == 0 && shape[2] % head_size == 0, "heads do not divide the width");
  const std::int64_t batch = shape[0], length = shape[1], heads = shape[2] / head_size, pairs = head_size / 2;
  const auto entries = static_cast<std::size_t>(length * pairs);
  float* cosine = t.arena().floats(entries);
  float* sine = t.arena().floats(entries);
  rope_table(rope_frequencies(head_size, base, {}), 0, length, {cosine, entries}, {sine, entries});
  const Var y = t.make(shape, t.wants(x));
  std::copy(t.value(x).begin(), t.value(x).end(), t.value(y).begin());
  const std::size_t sequence = static_cast<std::size_t>(length * heads * head_size);
  for (std::int64_t b = 0; b < batch; ++b)
    rope(t.value(y).subspan(static_cast<std::size_t>(b) * sequence, sequence), length, heads, {head_size, pairs}, {cosine, entries}, {sine, entries});
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const float* dy = tape.gradient(y).data();
      float* dx = tape.gradient(x).data();
      for (std::int64_t b = 0; b < batch; ++b)
        for (std::int64_t position = 0; position < length; ++position)
          for (std::int64_t head = 0; head < heads; ++head)
            for (std::int64_t p = 0; p < pairs; ++p) {
              const std::int64_t at = ((b * length + position) * heads + head) * head_size + 2 * p;
              const float c = cosine[position * pairs + p], s = sine[position * pairs + p];
              dx[at] += dy[at] * c + dy[at + 1] * s;
              dx[at + 1] += dy[at + 1] * c - dy[at] * s;
            }
    });
  return y;
}

}  // namespace starling::core

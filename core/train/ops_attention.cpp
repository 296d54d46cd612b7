// Softmax attention and rotary positions over whole sequences.
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
  /// Head `head` of sequence `b` of a value {batch, length, count * size}.
  MatrixView view(const float* data, std::int64_t b, std::int64_t head, std::int64_t count) const {
    return {data + (b * length * count + head) * size, length, size, count * size, 1};
  }
  float* place(float* data, std::int64_t b, std::int64_t head, std::int64_t count) const {
    return data + (b * length * count + head) * size;
  }
  std::int64_t scores() const { return length * length; }
  float scale() const { return 1 / std::sqrt(static_cast<float>(size)); }
};

Heads heads_of(const Tape& t, Var q, Var k, Var v, std::int64_t heads, std::int64_t kv_heads, bool causal) {
  const Shape& shape = t.shape(q);
  ensure(shape.size() == 3 && heads > 0 && kv_heads > 0 && heads % kv_heads == 0 && shape[2] % heads == 0, "heads do not divide the width");
  const Heads h{shape[0], shape[1], heads, kv_heads, shape[2] / heads, causal};
  ensure(t.shape(k) == Shape{h.batch, h.length, kv_heads * h.size} && t.shape(v) == t.shape(k), "keys and values of another shape");
  return h;
}

}  // namespace

Var attention(Tape& t, Var q, Var k, Var v, std::int64_t heads, std::int64_t kv_heads, bool causal) {
  const Heads h = heads_of(t, q, k, v, heads, kv_heads, causal);
  const Var y = t.make(t.shape(q), t.wants(q) || t.wants(k) || t.wants(v));
  float* weights = t.arena().floats(static_cast<std::size_t>(h.batch * h.heads * h.scores()));
  const float *qs = t.value(q).data(), *ks = t.value(k).data(), *vs = t.value(v).data();
  float* out = t.value(y).data();
  const auto forward = [&](std::int64_t begin, std::int64_t end) {
    Pool mine(1);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t b = i / h.heads, head = i % h.heads, kv = head / h.group();
      float* w = weights + i * h.scores();
      const std::span<float> all(w, static_cast<std::size_t>(h.scores()));
      gemm_alone(h.view(qs, b, head, h.heads), transposed(h.view(ks, b, kv, h.kv_heads)), w, h.length, false);
      scale(h.scale(), all, all);
      for (std::int64_t row = 0; h.causal && row < h.length; ++row)
        std::fill(w + row * h.length + row + 1, w + (row + 1) * h.length, -std::numeric_limits<float>::infinity());
      softmax(all, h.length, all, mine);
      gemm_alone(row_major(w, h.length, h.length), h.view(vs, b, kv, h.kv_heads), h.place(out, b, head, h.heads), h.heads * h.size, false);
    }
  };
  t.pool().parallel_for(h.batch * h.heads, 1, std::ref(forward));
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      for (const Var input : {q, k, v}) tape.gradient(input);
      Arena& arena = tape.arena();
      const float *q_in = tape.value(q).data(), *k_in = tape.value(k).data(), *v_in = tape.value(v).data();
      const float* dy = tape.gradient(y).data();
      float *dq = tape.gradient(q).data(), *dk = tape.gradient(k).data(), *dv = tape.gradient(v).data();
      const Arena::Mark mark = arena.mark();
      float* d_weights = arena.floats(static_cast<std::size_t>(h.batch * h.kv_heads * h.scores()));
      // Heads that share keys and values add to the same gradients: one after the other.
      const auto backward = [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
          for (std::int64_t member = 0; member < h.group(); ++member) {
            const std::int64_t b = i / h.kv_heads, kv = i % h.kv_heads, head = kv * h.group() + member;
            const float* w = weights + (b * h.heads + head) * h.scores();
            float* d = d_weights + i * h.scores();
            const MatrixView d_out = h.view(dy, b, head, h.heads);
            gemm_alone(transposed(row_major(w, h.length, h.length)), d_out, h.place(dv, b, kv, h.kv_heads), h.kv_heads * h.size, true);
            gemm_alone(d_out, transposed(h.view(v_in, b, kv, h.kv_heads)), d, h.length, false);
            for (std::int64_t row = 0; row < h.length; ++row) {
              const auto n = static_cast<std::size_t>(h.length);
              const float mean = dot({d + row * h.length, n}, {w + row * h.length, n});
              for (std::int64_t j = row * h.length; j < (row + 1) * h.length; ++j) d[j] = h.scale() * w[j] * (d[j] - mean);
            }
            gemm_alone(row_major(d, h.length, h.length), h.view(k_in, b, kv, h.kv_heads), h.place(dq, b, head, h.heads), h.heads * h.size, true);
            gemm_alone(transposed(row_major(d, h.length, h.length)), h.view(q_in, b, head, h.heads), h.place(dk, b, kv, h.kv_heads),
                       h.kv_heads * h.size, true);
          }
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
    rope(t.value(y).subspan(static_cast<std::size_t>(b) * sequence, sequence), length, heads, pairs, {cosine, entries}, {sine, entries});
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

// What sequences need: embeddings, dropout, recurrent layers.
#include "core/ops/gemm.h"
#include "core/train/ops.h"

namespace starling::core {

Var embedding(Tape& t, std::span<const std::int32_t> ids, Var table) {
  ensure(t.shape(table).size() == 2, "an embedding table has rows");
  const std::int64_t vocabulary = t.shape(table)[0], width = t.shape(table)[1];
  const auto rows = static_cast<std::int64_t>(ids.size());
  const Var y = t.make({rows, width}, t.wants(table));
  std::int32_t* kept = t.arena().ints(ids.size());
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int32_t id = ids[static_cast<std::size_t>(i)];
    check(id >= 0 && id < vocabulary, Kind::malformed, "token {}: id {} of a vocabulary of {}", i, id, vocabulary);
    kept[i] = id;
    const float* row = t.value(table).data() + id * width;
    std::copy(row, row + width, t.value(y).data() + i * width);
  }
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const float* dy = tape.gradient(y).data();
      float* d = tape.gradient(table).data();
      const auto n = static_cast<std::size_t>(width);
      for (std::int64_t i = 0; i < rows; ++i) add_to({dy + i * width, n}, {d + kept[i] * width, n});
    });
  return y;
}

Var dropout(Tape& t, Var x, float p, std::uint64_t seed, const RandomPlace& place) {
  ensure(p >= 0 && p < 1, "a dropout probability from 0 to below 1");
  if (!t.training() || p == 0) return x;
  const Var y = t.make(t.shape(x), t.wants(x));
  const auto n = static_cast<std::size_t>(t.size(x));
  float* factors = t.arena().floats(n);
  const float kept = 1 / (1 - p);
  constexpr std::size_t kEach = 8;  // 32 of 256 bits a value
  for (std::size_t i = 0; i < n; i += kEach) {
    const auto bits = random_bits(seed, Purpose::dropout, place, i / kEach);
    for (std::size_t j = 0; j < kEach && i + j < n; ++j) {
      const auto part = static_cast<std::uint32_t>(bits[j / 2] >> (32 * (j % 2)));
      factors[i + j] = static_cast<double>(part) * 0x1p-32 < static_cast<double>(p) ? 0.0f : kept;
    }
  }
  for (std::size_t i = 0; i < n; ++i) t.value(y)[i] = t.value(x)[i] * factors[i];
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const std::span<const float> dy = tape.gradient(y);
      const std::span<float> dx = tape.gradient(x);
      for (std::size_t i = 0; i < n; ++i) dx[i] += dy[i] * factors[i];
    });
  return y;
}

Var multiply(Tape& t, Var a, Var b) {
  ensure(t.shape(a) == t.shape(b), "shapes of a product disagree");
  const Var y = t.make(t.shape(a), t.wants(a) || t.wants(b));
  const auto n = static_cast<std::size_t>(t.size(a));
  for (std::size_t i = 0; i < n; ++i) t.value(y)[i] = t.value(a)[i] * t.value(b)[i];
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const std::span<const float> dy = tape.gradient(y);
      const auto add_product = [&](Var to, Var other) {
        if (!tape.wants(to)) return;
        const std::span<float> d = tape.gradient(to);
        const std::span<const float> v = tape.value(other);
        for (std::size_t i = 0; i < n; ++i) d[i] += dy[i] * v[i];
      };
      add_product(a, b);
      add_product(b, a);
    });
  return y;
}

Var time_step(Tape& t, Var x, std::int64_t step) {
  const Shape& shape = t.shape(x);
  ensure(shape.size() == 3 && step >= -1 && step < shape[0], "a step outside the sequence");
  const std::int64_t size = shape[1] * shape[2], at = (step < 0 ? shape[0] - 1 : step) * size;
  const Var y = t.make({shape[1], shape[2]}, t.wants(x));
  std::copy_n(t.value(x).data() + at, size, t.value(y).data());
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      add_to(tape.gradient(y), tape.gradient(x).subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(size)));
    });
  return y;
}

namespace {

struct Sequence {
  std::int64_t time, batch, inputs, width;
  std::int64_t state() const { return batch * width; }
};

Sequence sequence(const Tape& t, Var x, const Recurrent& w, std::int64_t gates) {
  const Shape& shape = t.shape(x);
  ensure(shape.size() == 3 && t.shape(w.w_in).size() == 2 && t.shape(w.w_in)[1] == shape[2] && t.shape(w.w_in)[0] % gates == 0, "a recurrent layer of another width");
  const Sequence s{shape[0], shape[1], shape[2], t.shape(w.w_in)[0] / gates};
  ensure(t.shape(w.w_hidden) == Shape{gates * s.width, s.width} && t.size(w.bias_in) == gates * s.width &&
             (w.bias_hidden.id < 0 ? gates == 4 : t.size(w.bias_hidden) == gates * s.width),
         "the weights of a recurrent layer disagree");
  return s;
}

/// {time * batch, gates * width} of the inputs' part, both biases left out.
float* input_part(Tape& t, Var x, const Recurrent& w, const Sequence& s, std::int64_t gates) {
  float* part = t.arena().floats(static_cast<std::size_t>(s.time * s.batch * gates * s.width));
  gemm(row_major(t.value(x).data(), s.time * s.batch, s.inputs), transposed(row_major(t.value(w.w_in).data(), gates * s.width, s.inputs)), part,
       false, t.pool());
  return part;
}

/// What all steps' gate gradients mean for input and weights.
void input_gradients(Tape& t, Var x, const Recurrent& w, const Sequence& s, std::int64_t gates, const float* d_in) {
  const MatrixView d = row_major(d_in, s.time * s.batch, gates * s.width);
  gemm(transposed(d), row_major(t.value(x).data(), s.time * s.batch, s.inputs), t.gradient(w.w_in).data(), true, t.pool());
  if (t.wants(x)) gemm(d, row_major(t.value(w.w_in).data(), gates * s.width, s.inputs), t.gradient(x).data(), true, t.pool());
  add_rows({d_in, static_cast<std::size_t>(d.rows * d.columns)}, d.rows, t.gradient(w.bias_in));
}

/// Gradients that backward() has not met yet take memory: before a mark is set, as they outlive it.
void meet_gradients(Tape& t, Var x, const Recurrent& w, Var y) {
  for (const Var v : {w.w_in, w.w_hidden, w.bias_in, w.bias_hidden, y})
    if (v.id >= 0) t.gradient(v);
  if (t.wants(x)) t.gradient(x);
}

std::span<float> piece(float* p, std::int64_t at, std::int64_t n) { return {p + at, static_cast<std::size_t>(n)}; }

}  // namespace

Var lstm(Tape& t, Var x, const Recurrent& w) {
  const Sequence s = sequence(t, x, w, 4);
  const Var y = t.make({s.time, s.batch, s.width}, t.wants(x) || t.wants(w.w_in));
  const std::int64_t row = 4 * s.width, step_gates = s.batch * row;
  float* gates = input_part(t, x, w, s, 4);  // becomes what the gates let through
  float* cells = t.arena().floats(static_cast<std::size_t>(s.time * s.state()));
  float* bent = t.arena().floats(static_cast<std::size_t>(s.time * s.state()));  // tanh of the cells
  float* out = t.value(y).data();
  const MatrixView hidden_weights = transposed(row_major(t.value(w.w_hidden).data(), row, s.width));
  for (std::int64_t step = 0; step < s.time; ++step) {
    float* g = gates + step * step_gates;
    add_bias(t.value(w.bias_in), s.batch, piece(g, 0, step_gates));
    if (w.bias_hidden.id >= 0) add_bias(t.value(w.bias_hidden), s.batch, piece(g, 0, step_gates));
    if (step > 0) gemm(row_major(out + (step - 1) * s.state(), s.batch, s.width), hidden_weights, g, true, t.pool());
    for (std::int64_t b = 0; b < s.batch; ++b) {
      float* gate = g + b * row;
      activate(Activation::sigmoid, piece(gate, 0, 2 * s.width), piece(gate, 0, 2 * s.width), t.pool());
      activate(Activation::tanh, piece(gate, 2 * s.width, s.width), piece(gate, 2 * s.width, s.width), t.pool());
      activate(Activation::sigmoid, piece(gate, 3 * s.width, s.width), piece(gate, 3 * s.width, s.width), t.pool());
      float* cell = cells + step * s.state() + b * s.width;
      const float* before = step > 0 ? cell - s.state() : nullptr;
      for (std::int64_t i = 0; i < s.width; ++i)
        cell[i] = gate[i] * gate[2 * s.width + i] + (before ? gate[s.width + i] * before[i] : 0.0f);
      float* c = bent + step * s.state() + b * s.width;
      activate(Activation::tanh, piece(cell, 0, s.width), piece(c, 0, s.width), t.pool());
      for (std::int64_t i = 0; i < s.width; ++i) out[step * s.state() + b * s.width + i] = gate[3 * s.width + i] * c[i];
    }
  }
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      meet_gradients(tape, x, w, y);
      Arena& arena = tape.arena();
      const Arena::Mark mark = arena.mark();
      float* d_gates = arena.floats(static_cast<std::size_t>(s.time * step_gates));
      float* d_cell = arena.floats(static_cast<std::size_t>(s.state()));
      float* d_out = arena.floats(static_cast<std::size_t>(s.state()));
      std::fill_n(d_cell, s.state(), 0.0f);
      std::fill_n(d_out, s.state(), 0.0f);
      const float* outputs = tape.value(y).data();
      const MatrixView w_hidden = row_major(tape.value(w.w_hidden).data(), row, s.width);
      for (std::int64_t step = s.time - 1; step >= 0; --step) {
        add_to(piece(tape.gradient(y).data(), step * s.state(), s.state()), piece(d_out, 0, s.state()));
        for (std::int64_t b = 0; b < s.batch; ++b) {
          const float* g = gates + step * step_gates + b * row;
          float* d = d_gates + step * step_gates + b * row;
          const float* before = step > 0 ? cells + (step - 1) * s.state() + b * s.width : nullptr;
          for (std::int64_t i = 0; i < s.width; ++i) {
            const float in = g[i], keep = g[s.width + i], fresh = g[2 * s.width + i], open = g[3 * s.width + i];
            const float c = bent[step * s.state() + b * s.width + i];
            float& dc = d_cell[b * s.width + i];
            const float dh = d_out[b * s.width + i];
            dc += dh * open * (1 - c * c);
            d[i] = dc * fresh * in * (1 - in);
            d[s.width + i] = before ? dc * before[i] * keep * (1 - keep) : 0.0f;
            d[2 * s.width + i] = dc * in * (1 - fresh * fresh);
            d[3 * s.width + i] = dh * c * open * (1 - open);
            dc *= keep;
          }
        }
        const MatrixView d = row_major(d_gates + step * step_gates, s.batch, row);
        gemm(d, w_hidden, d_out, false, tape.pool());
        if (step > 0)
          gemm(transposed(d), row_major(outputs + (step - 1) * s.state(), s.batch, s.width), tape.gradient(w.w_hidden).data(), true, tape.pool());
        if (w.bias_hidden.id >= 0) add_rows(piece(d_gates, step * step_gates, step_gates), s.batch, tape.gradient(w.bias_hidden));
      }
      input_gradients(tape, x, w, s, 4, d_gates);
      arena.release(mark);
    });
  return y;
}

Var gru(Tape& t, Var x, const Recurrent& w) {
  const Sequence s = sequence(t, x, w, 3);
  const Var y = t.make({s.time, s.batch, s.width}, t.wants(x) || t.wants(w.w_in));
  const std::int64_t row = 3 * s.width, step_gates = s.batch * row;
  float* gates = input_part(t, x, w, s, 3);  // becomes reset, update, new
  float* hidden = t.arena().floats(static_cast<std::size_t>(s.time * step_gates));  // the state's part with its bias
  float* out = t.value(y).data();
  const MatrixView hidden_weights = transposed(row_major(t.value(w.w_hidden).data(), row, s.width));
  for (std::int64_t step = 0; step < s.time; ++step) {
    float* g = gates + step * step_gates;
    float* h = hidden + step * step_gates;
    std::fill_n(h, step_gates, 0.0f);
    if (step > 0) gemm(row_major(out + (step - 1) * s.state(), s.batch, s.width), hidden_weights, h, false, t.pool());
    add_bias(t.value(w.bias_in), s.batch, piece(g, 0, step_gates));
    add_bias(t.value(w.bias_hidden), s.batch, piece(h, 0, step_gates));
    for (std::int64_t b = 0; b < s.batch; ++b) {
      float* gate = g + b * row;
      const float* part = h + b * row;
      add_to({part, static_cast<std::size_t>(2 * s.width)}, piece(gate, 0, 2 * s.width));
      activate(Activation::sigmoid, piece(gate, 0, 2 * s.width), piece(gate, 0, 2 * s.width), t.pool());
      for (std::int64_t i = 0; i < s.width; ++i) gate[2 * s.width + i] += gate[i] * part[2 * s.width + i];
      activate(Activation::tanh, piece(gate, 2 * s.width, s.width), piece(gate, 2 * s.width, s.width), t.pool());
      float* now = out + step * s.state() + b * s.width;
      const float* before = step > 0 ? now - s.state() : nullptr;
      for (std::int64_t i = 0; i < s.width; ++i)
        now[i] = (1 - gate[s.width + i]) * gate[2 * s.width + i] + (before ? gate[s.width + i] * before[i] : 0.0f);
    }
  }
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      meet_gradients(tape, x, w, y);
      Arena& arena = tape.arena();
      const Arena::Mark mark = arena.mark();
      float* d_in = arena.floats(static_cast<std::size_t>(s.time * step_gates));
      float* d_hidden = arena.floats(static_cast<std::size_t>(step_gates));
      float* d_out = arena.floats(static_cast<std::size_t>(s.state()));
      std::fill_n(d_out, s.state(), 0.0f);
      const float* outputs = tape.value(y).data();
      const MatrixView w_hidden = row_major(tape.value(w.w_hidden).data(), row, s.width);
      for (std::int64_t step = s.time - 1; step >= 0; --step) {
        add_to(piece(tape.gradient(y).data(), step * s.state(), s.state()), piece(d_out, 0, s.state()));
        for (std::int64_t b = 0; b < s.batch; ++b) {
          const float* g = gates + step * step_gates + b * row;
          const float* part = hidden + step * step_gates + b * row;
          float* d = d_in + step * step_gates + b * row;
          float* dh = d_hidden + b * row;
          const float* before = step > 0 ? outputs + (step - 1) * s.state() + b * s.width : nullptr;
          for (std::int64_t i = 0; i < s.width; ++i) {
            const float reset = g[i], update = g[s.width + i], fresh = g[2 * s.width + i];
            float& carried = d_out[b * s.width + i];
            const float d_fresh = carried * (1 - update) * (1 - fresh * fresh);
            const float d_update = carried * ((before ? before[i] : 0.0f) - fresh) * update * (1 - update);
            const float d_reset = d_fresh * part[2 * s.width + i] * reset * (1 - reset);
            d[i] = dh[i] = d_reset;
            d[s.width + i] = dh[s.width + i] = d_update;
            d[2 * s.width + i] = d_fresh;
            dh[2 * s.width + i] = d_fresh * reset;
            carried *= update;
          }
        }
        const MatrixView dh = row_major(d_hidden, s.batch, row);
        if (step > 0) {
          gemm(transposed(dh), row_major(outputs + (step - 1) * s.state(), s.batch, s.width), tape.gradient(w.w_hidden).data(), true, tape.pool());
          gemm(dh, w_hidden, d_out, true, tape.pool());
        }
        add_rows(piece(d_hidden, 0, step_gates), s.batch, tape.gradient(w.bias_hidden));
      }
      input_gradients(tape, x, w, s, 3, d_in);
      arena.release(mark);
    });
  return y;
}

}  // namespace starling::core

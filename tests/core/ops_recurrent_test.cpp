// Recurrent layers step by step and sums of outer products: the bits of plain chains of fused multiply-adds, on every
// instruction set and with any number of threads.
#include <cmath>

#include "core/ops/elementwise.h"
#include "core/ops/outer.h"
#include "core/ops/recurrent.h"
#include "tests/oracle/random.h"
#include "tests/oracle/same_bits.h"

using namespace starling::core;
using namespace starling::tests;

namespace {

using Floats = std::vector<float>;

float f_of(Activation f, float v) {
  Pool pool(1);
  activate(f, {&v, 1}, {&v, 1}, pool);
  return v;
}
float sigmoid(float v) { return f_of(Activation::sigmoid, v); }
float tanh_of(float v) { return f_of(Activation::tanh, v); }

/// A sum that goes on from `begin`: weights * values, in order.
float chain(float begin, const float* weights, const float* values, std::size_t n) {
  for (std::size_t k = 0; k < n; ++k) begin = std::fma(values[k], weights[k], begin);
  return begin;
}

struct Case {
  RecurrentSize size;
  std::size_t row, width, inputs, batch, time, states;
  Floats x, w_in, w_hidden, bias_in, bias_hidden, dy, dx;

  Case(const RecurrentSize& s, std::size_t gates)
      : size(s), width(static_cast<std::size_t>(s.width)), inputs(static_cast<std::size_t>(s.inputs)), batch(static_cast<std::size_t>(s.batch)),
        time(static_cast<std::size_t>(s.time)) {
    row = gates * width;
    states = time * batch * width;
    x = random_floats(time * batch * inputs, 1, 3.0f);
    w_in = random_floats(row * inputs, 2);
    w_hidden = random_floats(row * width, 3);
    bias_in = random_floats(row, 4);
    bias_hidden = random_floats(row, 5);
    dy = random_floats(states, 6);
    dx = random_floats(x.size(), 7);
  }
  float inputs_part(float bias, std::size_t at, std::size_t j) const { return chain(bias, &w_in[j * inputs], &x[at * inputs], inputs); }
  /// What the gradient of the sums means for the inputs, added to `to`.
  void add_inputs_gradient(const Floats& d, Floats& to) const {
    for (std::size_t at = 0; at < time * batch; ++at)
      for (std::size_t i = 0; i < inputs; ++i)
        for (std::size_t j = 0; j < row; ++j) to[at * inputs + i] = std::fma(d[at * row + j], w_in[j * inputs + i], to[at * inputs + i]);
  }
};

Floats joined(const std::vector<Floats>& parts) {
  Floats all;
  for (const Floats& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// Outputs, then what backward gives; with one bias the gradient of the inputs is set, with two added to what is there.
Floats lstm_of(const Case& c, bool two, int threads) {
  Pool pool(threads);
  Arena arena;
  Floats gates(c.time * c.batch * c.row), cells(c.states), bent(c.states), out(c.states), dx = c.dx;
  const LstmMemory memory{gates.data(), cells.data(), bent.data(), out.data()};
  const RecurrentWeights weights{c.w_in.data(), c.w_hidden.data(), c.bias_in.data(), two ? c.bias_hidden.data() : nullptr};
  lstm_forward(c.size, c.x.data(), weights, memory, arena, pool);
  lstm_backward(c.size, weights, memory, c.dy.data(), {dx.data(), !two}, arena, pool);
  return joined({out, cells, gates, dx});
}

Floats plain_lstm(const Case& c, bool two) {
  const std::size_t w = c.width, row = c.row, state = c.batch * w;
  Floats gates(c.time * c.batch * row), cells(c.states), bent(c.states), out(c.states), d(gates.size()), dx = two ? c.dx : Floats(c.dx.size());
  for (std::size_t at = 0; at < c.time * c.batch; ++at) {
    float* g = &gates[at * row];
    const bool first = at < c.batch;
    for (std::size_t j = 0; j < row; ++j) {
      g[j] = c.inputs_part(two ? c.bias_in[j] + c.bias_hidden[j] : c.bias_in[j], at, j);
      if (!first) g[j] = chain(g[j], &c.w_hidden[j * w], &out[at * w - state], w);
      g[j] = j / w == 2 ? tanh_of(g[j]) : sigmoid(g[j]);
    }
    for (std::size_t i = 0; i < w; ++i) {
      cells[at * w + i] = g[i] * g[2 * w + i] + (first ? 0.0f : g[w + i] * cells[at * w + i - state]);
      bent[at * w + i] = tanh_of(cells[at * w + i]);
      out[at * w + i] = g[3 * w + i] * bent[at * w + i];
    }
  }
  Floats d_state(state), d_cell(state);
  for (std::size_t step = c.time; step-- > 0;)
    for (std::size_t b = 0; b < c.batch; ++b) {
      const std::size_t at = step * c.batch + b;
      const float* g = &gates[at * row];
      float* to = &d[at * row];
      for (std::size_t i = 0; i < w; ++i) {
        const float in = g[i], keep = g[w + i], fresh = g[2 * w + i], open = g[3 * w + i], tanh_cell = bent[at * w + i];
        const float dh = c.dy[at * w + i] + d_state[b * w + i], dc = d_cell[b * w + i] + dh * open * (1 - tanh_cell * tanh_cell);
        to[i] = dc * fresh * in * (1 - in);
        to[w + i] = step > 0 ? dc * cells[at * w + i - state] * keep * (1 - keep) : 0.0f;
        to[2 * w + i] = dc * in * (1 - fresh * fresh);
        to[3 * w + i] = dh * tanh_cell * open * (1 - open);
        d_cell[b * w + i] = dc * keep;
      }
      for (std::size_t i = 0; i < w; ++i) {
        d_state[b * w + i] = 0;
        for (std::size_t j = 0; j < row; ++j) d_state[b * w + i] = std::fma(to[j], c.w_hidden[j * w + i], d_state[b * w + i]);
      }
    }
  c.add_inputs_gradient(d, dx);
  return joined({out, cells, d, dx});
}

Floats gru_of(const Case& c, int threads) {
  Pool pool(threads);
  Arena arena;
  Floats gates(c.time * c.batch * c.row), hidden(gates.size()), out(c.states), dx = c.dx;
  const GruMemory memory{gates.data(), hidden.data(), out.data()};
  const RecurrentWeights weights{c.w_in.data(), c.w_hidden.data(), c.bias_in.data(), c.bias_hidden.data()};
  gru_forward(c.size, c.x.data(), weights, memory, arena, pool);
  gru_backward(c.size, weights, memory, c.dy.data(), {dx.data(), false}, arena, pool);
  return joined({out, gates, hidden, dx});
}

Floats plain_gru(const Case& c) {
  const std::size_t w = c.width, row = c.row, state = c.batch * w;
  Floats gates(c.time * c.batch * row), hidden(gates.size()), out(c.states), d_in(gates.size()), d_hidden(gates.size()), dx = c.dx;
  const Floats zeros(w);
  for (std::size_t at = 0; at < c.time * c.batch; ++at) {
    float *g = &gates[at * row], *part = &hidden[at * row];
    const float* before = at < c.batch ? zeros.data() : &out[at * w - state];
    for (std::size_t j = 0; j < row; ++j) {
      part[j] = chain(c.bias_hidden[j], &c.w_hidden[j * w], before, w);
      g[j] = c.inputs_part(c.bias_in[j], at, j);
      if (j < 2 * w) g[j] = sigmoid(g[j] + part[j]);
    }
    for (std::size_t i = 0; i < w; ++i) {
      g[2 * w + i] = tanh_of(g[2 * w + i] + g[i] * part[2 * w + i]);
      out[at * w + i] = (1 - g[w + i]) * g[2 * w + i] + g[w + i] * before[i];
    }
  }
  Floats d_state(state);
  for (std::size_t step = c.time; step-- > 0;)
    for (std::size_t b = 0; b < c.batch; ++b) {
      const std::size_t at = step * c.batch + b;
      const float *g = &gates[at * row], *part = &hidden[at * row];
      const float* before = step == 0 ? zeros.data() : &out[at * w - state];
      float *in = &d_in[at * row], *dh = &d_hidden[at * row];
      for (std::size_t i = 0; i < w; ++i) {
        const float reset = g[i], update = g[w + i], fresh = g[2 * w + i], carried = c.dy[at * w + i] + d_state[b * w + i];
        in[2 * w + i] = carried * (1 - update) * (1 - fresh * fresh);
        in[w + i] = dh[w + i] = carried * (before[i] - fresh) * update * (1 - update);
        in[i] = dh[i] = in[2 * w + i] * part[2 * w + i] * reset * (1 - reset);
        dh[2 * w + i] = in[2 * w + i] * reset;
        d_state[b * w + i] = carried * update;
      }
      for (std::size_t i = 0; i < w; ++i)
        for (std::size_t j = 0; j < row; ++j) d_state[b * w + i] = std::fma(dh[j], c.w_hidden[j * w + i], d_state[b * w + i]);
    }
  c.add_inputs_gradient(d_in, dx);
  return joined({out, d_in, d_hidden, dx});
}

const std::vector<RecurrentSize> kSizes{{1, 1, 1, 1}, {3, 2, 4, 5}, {4, 13, 16, 16}, {3, 9, 8, 37}, {2, 17, 33, 70}};

}  // namespace

TEST_CASE("an LSTM has the bits of its equations with plain chains, on all targets and with any number of threads") {
  for (const RecurrentSize& size : kSizes)
    for (const bool two : {false, true}) {
      CAPTURE(size.width);
      const Case c(size, 4);
      const Floats expected = plain_lstm(c, two);
      for (const int threads : {1, 3}) CHECK(same_on_all_targets([&] { return lstm_of(c, two, threads); }) == expected);
    }
}

TEST_CASE("a GRU has the bits of its equations with plain chains, on all targets and with any number of threads") {
  for (const RecurrentSize& size : kSizes) {
    CAPTURE(size.width);
    const Case c(size, 3);
    const Floats expected = plain_gru(c);
    for (const int threads : {1, 3}) CHECK(same_on_all_targets([&] { return gru_of(c, threads); }) == expected);
  }
}

TEST_CASE("sums of outer products are chains in the order of the rows, on all targets and with any number of threads") {
  struct Shape { std::size_t rows, a, b, late; };
  for (const Shape& s : {Shape{1, 1, 1, 0}, {35, 3, 40, 7}, {155, 70, 33, 5}, {300, 50, 17, 140}, {4, 600, 3, 2}, {4, 25, 64, 4}}) {
    CAPTURE(s.a);
    CAPTURE(s.late);
    const auto a = random_floats(s.rows * s.a, 1), b = random_floats(s.rows * s.b, 2), begin = random_floats(s.a * s.b, 3), sum = random_floats(s.a, 4);
    Floats now = begin, late = begin, total = sum;
    const auto add = [&](Floats& c, std::size_t k, std::size_t of_b) {
      for (std::size_t i = 0; i < c.size(); ++i) c[i] = std::fma(a[k * s.a + i / s.b], b[of_b * s.b + i % s.b], c[i]);
    };
    for (std::size_t k = 0; k < s.rows; ++k) {
      add(now, k, k);
      if (k >= s.late) add(late, k, k - s.late);
      for (std::size_t i = 0; i < s.a; ++i) total[i] += a[k * s.a + i];
    }
    const Floats expected = joined({now, late, total});
    for (const int threads : {1, 3}) {
      Pool pool(threads);
      CHECK(same_on_all_targets([&] {
              Floats c[] = {begin, begin}, a_sum = sum;
              const auto columns = static_cast<std::int64_t>(s.b);
              const OuterSum sums[] = {{b.data(), columns, 0, c[0].data()}, {b.data(), columns, static_cast<std::int64_t>(s.late), c[1].data()}};
              add_outer_sums(a.data(), static_cast<std::int64_t>(s.rows), static_cast<std::int64_t>(s.a), sums, a_sum, pool);
              return joined({c[0], c[1], a_sum});
            }) == expected);
    }
  }
}

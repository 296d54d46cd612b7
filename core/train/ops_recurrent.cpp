// Recurrent layers: the steps (core/ops/recurrent.h), and one sum for each weight's gradient.
#include "core/ops/outer.h"
#include "core/ops/recurrent.h"
#include "core/train/ops.h"

namespace starling::core {
namespace {

RecurrentSize size_of(const Tape& t, Var x, const Recurrent& w, std::int64_t gates) {
  const Shape& shape = t.shape(x);
  ensure(shape.size() == 3 && t.shape(w.w_in).size() == 2 && t.shape(w.w_in)[1] == shape[2] && t.shape(w.w_in)[0] % gates == 0,
         "a recurrent layer of another width");
  const std::int64_t row = t.shape(w.w_in)[0], width = row / gates;
  ensure(t.shape(w.w_hidden) == Shape{row, width} && t.size(w.bias_in) == row && (w.bias_hidden.id < 0 ? gates == 4 : t.size(w.bias_hidden) == row),
         "the weights of a recurrent layer disagree");
  return {shape[0], shape[1], shape[2], width};
}

RecurrentWeights weights_of(Tape& t, const Recurrent& w) {
  return {t.value(w.w_in).data(), t.value(w.w_hidden).data(), t.value(w.bias_in).data(), w.bias_hidden.id < 0 ? nullptr : t.value(w.bias_hidden).data()};
}

/// Gradients that backward() has not met yet take memory: before a mark is set, as they outlive it.
InputsGradient meet_gradients(Tape& t, Var x, const Recurrent& w, Var y) {
  for (const Var v : {w.w_in, w.w_hidden, w.bias_in, w.bias_hidden, y})
    if (v.id >= 0) t.gradient(v);
  if (!t.wants(x)) return {nullptr, false};
  const Tape::Written d_x = t.written_gradient(x);
  return {d_x.values.data(), d_x.fresh};
}

}  // namespace

Var lstm(Tape& t, Var x, const Recurrent& w) {
  const RecurrentSize s = size_of(t, x, w, 4);
  const Var y = t.make({s.time, s.batch, s.width}, t.wants(x) || t.wants(w.w_in));
  const std::int64_t rows = s.time * s.batch, row = 4 * s.width;
  const LstmMemory memory{t.floats(rows * row), t.floats(rows * s.width), t.floats(rows * s.width), t.value(y).data()};
  const Arena::Mark mark = t.arena().mark();
  lstm_forward(s, t.value(x).data(), weights_of(t, w), memory, t.arena(), t.pool());
  t.arena().release(mark);
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const InputsGradient d_x = meet_gradients(tape, x, w, y);
      const Arena::Mark before = tape.arena().mark();
      lstm_backward(s, weights_of(tape, w), memory, tape.gradient(y).data(), d_x, tape.arena(), tape.pool());
      tape.arena().release(before);
      const OuterSum sums[] = {{tape.value(x).data(), s.inputs, 0, tape.gradient(w.w_in).data()},
                               {memory.out, s.width, s.batch, tape.gradient(w.w_hidden).data()}};
      add_outer_sums(memory.gates, rows, row, sums, tape.gradient(w.bias_in), tape.pool());
      if (w.bias_hidden.id >= 0) add_outer_sums(memory.gates, rows, row, {}, tape.gradient(w.bias_hidden), tape.pool());
    });
  return y;
}

Var gru(Tape& t, Var x, const Recurrent& w) {
  const RecurrentSize s = size_of(t, x, w, 3);
  const Var y = t.make({s.time, s.batch, s.width}, t.wants(x) || t.wants(w.w_in));
  const std::int64_t rows = s.time * s.batch, row = 3 * s.width;
  const GruMemory memory{t.floats(rows * row), t.floats(rows * row), t.value(y).data()};
  const Arena::Mark mark = t.arena().mark();
  gru_forward(s, t.value(x).data(), weights_of(t, w), memory, t.arena(), t.pool());
  t.arena().release(mark);
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const InputsGradient d_x = meet_gradients(tape, x, w, y);
      const Arena::Mark before = tape.arena().mark();
      gru_backward(s, weights_of(tape, w), memory, tape.gradient(y).data(), d_x, tape.arena(), tape.pool());
      tape.arena().release(before);
      const OuterSum of_inputs{tape.value(x).data(), s.inputs, 0, tape.gradient(w.w_in).data()};
      const OuterSum of_state{memory.out, s.width, s.batch, tape.gradient(w.w_hidden).data()};
      add_outer_sums(memory.gates, rows, row, {&of_inputs, 1}, tape.gradient(w.bias_in), tape.pool());
      add_outer_sums(memory.hidden, rows, row, {&of_state, 1}, tape.gradient(w.bias_hidden), tape.pool());
    });
  return y;
}

}  // namespace starling::core

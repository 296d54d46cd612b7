// Dense layers.
#include "core/ops/gemm.h"
#include "core/train/ops.h"

namespace starling::core {
namespace {

struct Sizes {
  std::int64_t rows, inputs, outputs;
};

Sizes dense_sizes(const Tape& t, Var x, Var w) {
  ensure(t.shape(x).size() == 2 && t.shape(w).size() == 2 && t.shape(x)[1] == t.shape(w)[1], "shapes of a dense layer disagree");
  return {t.shape(x)[0], t.shape(x)[1], t.shape(w)[0]};
}

void dense_backward(Tape& t, const Sizes& s, Var x, Var w, Var y) {
  const MatrixView dy = row_major(t.gradient(y).data(), s.rows, s.outputs);
  if (t.wants(x)) {
    const Tape::GradientPart dx = t.gradient_part(x);
    gemm(dy, row_major(t.value(w).data(), s.outputs, s.inputs), dx.values.data(), dx.add, t.pool());
  }
  if (t.wants(w)) gemm(transposed(dy), row_major(t.value(x).data(), s.rows, s.inputs), t.gradient(w).data(), true, t.pool());
}

}  // namespace

Var dense(Tape& t, Var x, Var w) {
  const Sizes s = dense_sizes(t, x, w);
  const Var y = t.make({s.rows, s.outputs}, t.wants(x) || t.wants(w));
  gemm(row_major(t.value(x).data(), s.rows, s.inputs), transposed(row_major(t.value(w).data(), s.outputs, s.inputs)), t.value(y).data(),
       false, t.pool());
  if (t.wants(y)) t.on_backward([=](Tape& tape) { dense_backward(tape, s, x, w, y); });
  return y;
}

Var dense(Tape& t, Var x, Var w, Var bias) {
  const Sizes s = dense_sizes(t, x, w);
  ensure(t.size(bias) == s.outputs, "a dense layer's bias of another size");
  const Var y = t.make({s.rows, s.outputs}, t.wants(x) || t.wants(w) || t.wants(bias));
  gemm(row_major(t.value(x).data(), s.rows, s.inputs), transposed(row_major(t.value(w).data(), s.outputs, s.inputs)), t.value(y).data(),
       false, t.pool());
  add_bias(t.value(bias), s.rows, t.value(y));
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      dense_backward(tape, s, x, w, y);
      if (tape.wants(bias)) add_rows(tape.gradient(y), s.rows, tape.gradient(bias));
    });
  return y;
}

}  // namespace starling::core

// What transformers are made of beside attention. Root-mean-square norm and gated activation compute with the kernels
// of inference.
#include "core/ops/norm.h"
#include "core/ops/swiglu.h"
#include "core/train/ops.h"

namespace starling::core {

Var rms_norm(Tape& t, Var x, Var gain, float epsilon) {
  const std::int64_t size = t.shape(x).back(), rows = t.size(x) / size;
  ensure(t.size(gain) == size, "a norm of another width");
  const Var y = t.make(t.shape(x), t.wants(x) || t.wants(gain));
  rms_norm(t.value(x), rows, t.value(gain), epsilon, t.value(y), t.pool());
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const std::span<float> dx = tape.wants(x) ? tape.gradient(x) : std::span<float>();
      rms_norm_backward(tape.value(x), rows, tape.value(gain), epsilon, tape.gradient(y), dx, tape.gradient(gain), tape.pool());
    });
  return y;
}

Var swiglu(Tape& t, Var gate, Var up) {
  ensure(t.shape(gate) == t.shape(up), "gate and up differ in shape");
  const Var y = t.make(t.shape(gate), t.wants(gate) || t.wants(up));
  std::copy(t.value(gate).begin(), t.value(gate).end(), t.value(y).begin());
  swiglu(t.value(y), t.value(up), t.pool());
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      swiglu_backward(tape.value(gate), tape.value(up), tape.gradient(y), tape.gradient(gate), tape.gradient(up), tape.pool());
    });
  return y;
}

Var add_each(Tape& t, Var x, Var part) {
  const std::int64_t size = t.size(part), blocks = t.size(x) / size;
  ensure(blocks * size == t.size(x), "a part that does not divide the whole");
  const Var y = t.make(t.shape(x), t.wants(x) || t.wants(part));
  std::copy(t.value(x).begin(), t.value(x).end(), t.value(y).begin());
  add_bias(t.value(part), blocks, t.value(y));
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      if (tape.wants(x)) add_to(tape.gradient(y), tape.gradient(x));
      if (tape.wants(part)) add_rows(tape.gradient(y), blocks, tape.gradient(part));
    });
  return y;
}

Var mean_over_length(Tape& t, Var x) {
  const Shape shape = t.shape(x);
  ensure(shape.size() == 3 && shape[1] > 0, "a mean over no length");
  const auto batch = static_cast<std::size_t>(shape[0]), width = static_cast<std::size_t>(shape[2]), sequence = static_cast<std::size_t>(shape[1]) * width;
  const std::int64_t length = shape[1];
  const float share = 1 / static_cast<float>(length);
  const Var y = t.make({shape[0], shape[2]}, t.wants(x));
  for (std::size_t b = 0; b < batch; ++b) {
    const std::span<float> mean = t.value(y).subspan(b * width, width);
    std::fill(mean.begin(), mean.end(), 0.0f);
    add_rows(t.value(x).subspan(b * sequence, sequence), length, mean);
    scale(share, mean, mean);
  }
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      for (std::size_t row = 0; row < batch * static_cast<std::size_t>(length); ++row)
        add_scaled(share, tape.gradient(y).subspan(row / static_cast<std::size_t>(length) * width, width), tape.gradient(x).subspan(row * width, width));
    });
  return y;
}

}  // namespace starling::core

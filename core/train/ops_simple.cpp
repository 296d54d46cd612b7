// Operations value by value, and changes of shape.
#include "core/train/ops.h"

namespace starling::core {

Var activate(Tape& t, Activation f, Var x) {
  const Var y = t.make(t.shape(x), t.wants(x));
  activate(f, t.value(x), t.value(y), t.pool());
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const Tape::GradientPart dx = tape.gradient_part(x);
      activate_backward(f, tape.value(x), tape.value(y), tape.gradient(y), dx.values, dx.add, tape.pool());
    });
  return y;
}

Var add(Tape& t, Var a, Var b) {
  ensure(t.shape(a) == t.shape(b), "shapes of a sum disagree");
  const Var y = t.make(t.shape(a), t.wants(a) || t.wants(b));
  add(t.value(a), t.value(b), t.value(y), t.pool());
  if (t.wants(y))
    t.on_backward([=](Tape& tape) {
      const std::span<const float> dy = tape.gradient(y);
      for (const Var v : {a, b}) {
        if (!tape.wants(v)) continue;
        const Tape::GradientPart part = tape.gradient_part(v);
        if (part.add)
          add(dy, part.values, part.values, tape.pool());
        else
          std::copy(dy.begin(), dy.end(), part.values.begin());
      }
    });
  return y;
}

Var combine(Tape& t, float a, Var x, float b, Var y) {
  ensure(t.size(x) == 1 && t.size(y) == 1, "combine() is for scalars");
  const Var z = t.make({1}, t.wants(x) || t.wants(y));
  t.value(z)[0] = a * t.value(x)[0] + b * t.value(y)[0];
  if (t.wants(z))
    t.on_backward([=](Tape& tape) {
      if (tape.wants(x)) tape.gradient(x)[0] += a * tape.gradient(z)[0];
      if (tape.wants(y)) tape.gradient(y)[0] += b * tape.gradient(z)[0];
    });
  return z;
}

Var reshape(Tape& t, Var x, Shape shape) {
  ensure(element_count(shape) == t.size(x), "a reshape to another size");
  return t.alias(x, std::move(shape));
}

Var flatten(Tape& t, Var x) {
  const std::int64_t rows = t.shape(x).at(0);
  return reshape(t, x, {rows, t.size(x) / rows});
}

}  // namespace starling::core

// Gradients against finite differences: every operation is tried inside a small function of its parameters.
#pragma once

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/train/ops.h"

namespace starling::tests {

/// A scalar loss of `parameters`, built anew on each call.
using Loss = std::function<core::Var(core::Tape&)>;

inline float loss_of(core::Parameters& parameters, const Loss& loss, core::Pool& pool, bool training) {
  core::Tape tape(pool, false, training);
  tape.begin(parameters);
  return tape.value(loss(tape))[0];
}

/// Compares every parameter's gradient with (f(x + h) - f(x - h)) / 2h. `tolerance` is relative to the largest slope.
inline void check_gradients(core::Parameters& parameters, const Loss& loss, double tolerance = 5e-3, float h = 1e-2f, bool training = true) {
  core::Pool pool(2);
  core::Tape tape(pool, true, training);
  tape.begin(parameters);
  parameters.clear_gradients();
  tape.backward(loss(tape));
  for (const core::ParameterEntry& entry : parameters.layout->entries()) {
    if (entry.part == core::Part::statistic) continue;
    double largest = 1e-3, worst = 0;
    for (std::int64_t i = entry.offset; i < entry.offset + entry.size; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const std::vector<float> kept = parameters.values;  // statistics move with every evaluation
      parameters.values[at] = kept[at] + h;
      const double above = static_cast<double>(loss_of(parameters, loss, pool, training));
      parameters.values = kept;
      parameters.values[at] = kept[at] - h;
      const double below = static_cast<double>(loss_of(parameters, loss, pool, training));
      parameters.values = kept;
      const double slope = (above - below) / (2 * static_cast<double>(h));
      largest = std::max(largest, std::abs(slope));
      worst = std::max(worst, std::abs(slope - static_cast<double>(parameters.gradients[at])));
    }
    CAPTURE(entry.name);
    CHECK(worst <= tolerance * largest);
  }
}

/// A loss that depends on every value of v: the distance to a fixed direction.
inline core::Var along(core::Tape& t, core::Var v) {
  std::vector<float> target(static_cast<std::size_t>(t.size(v)));
  for (std::size_t i = 0; i < target.size(); ++i) target[i] = std::sin(static_cast<float>(3 * i + 1));
  return core::mean_squared_error(t, v, target);
}

/// A layout from names and shapes, filled with normal numbers of the given deviation.
struct Model {
  std::shared_ptr<core::ParameterLayout> layout = std::make_shared<core::ParameterLayout>();
  std::size_t add(const std::string& name, core::Shape shape, double deviation = 0.5, core::Part part = core::Part::weight) {
    return layout->add(name, std::move(shape), {core::Initial::Kind::normal, deviation, 0}, part);
  }
  core::Parameters parameters(std::uint64_t seed = 1) const {
    core::Parameters p(layout);
    core::initialise(p, seed);
    return p;
  }
};

}  // namespace starling::tests

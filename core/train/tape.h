// Reverse-mode automatic differentiation. Operations (train/ops.h) compute at once and leave on the tape how their
// inputs' gradients follow from their result's; backward() walks the tape from its end. All memory of a step comes
// from one arena, so that after the first step nothing is allocated. A tape that does not record only computes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "core/arena.h"
#include "core/error.h"
#include "core/pool.h"
#include "core/tensor.h"
#include "core/train/parameters.h"

namespace starling::core {

/// A value on a tape.
struct Var {
  std::int32_t id = -1;
};

class Tape {
 public:
  /// `training` is what layers with two behaviours ask (dropout, batch norm); `recording` needs it not.
  Tape(Pool& pool, bool recording, bool training) : pool_(&pool), recording_(recording), training_(training) {}

  /// Forgets everything; parameter() then reads from `parameters`, and gradients are added to theirs.
  void begin(Parameters& parameters);

  /// A copy of `values` without a gradient.
  Var constant(Shape shape, std::span<const float> values);
  Var parameter(std::size_t index);
  std::span<float> statistic(std::size_t index);

  /// For operations: a result not yet computed. `wants`: an input wants a gradient.
  Var make(Shape shape, bool wants);
  /// The memory of `v`, value and gradient, under another shape.
  Var alias(Var v, Shape shape);
  template <class F>
  void on_backward(F f);

  const Shape& shape(Var v) const { return node(v).shape; }
  std::int64_t size(Var v) const { return node(v).size; }
  std::span<float> value(Var v) { return {node(v).value, static_cast<std::size_t>(node(v).size)}; }
  std::span<const float> value(Var v) const { return {node(v).value, static_cast<std::size_t>(node(v).size)}; }
  /// To be added to; zeros at first.
  std::span<float> gradient(Var v);
  /// The same for operations that write every value: while it is `fresh` they set it, so that no zeros are needed.
  struct Written {
    std::span<float> values;
    bool fresh;
  };
  Written written_gradient(Var v);
  bool wants(Var v) const { return node(v).wants; }

  /// Seeds the gradient of the scalar `loss` with one and walks back.
  void backward(Var loss);

  Arena& arena() { return arena_; }
  float* floats(std::int64_t count) { return arena().floats(static_cast<std::size_t>(count)); }
  Pool& pool() { return *pool_; }
  bool recording() const { return recording_; }
  bool training() const { return training_; }

 private:
  struct Node {
    Shape shape;
    std::int64_t size = 0;
    float* value = nullptr;
    float* gradient = nullptr;
    bool wants = false;
    std::int32_t owner = -1;  // of the gradient: another node if this is its alias
  };
  struct Step {
    void (*run)(void* closure, Tape& tape);
    void* closure;
  };

  const Node& node(Var v) const { return nodes_[static_cast<std::size_t>(v.id)]; }
  Node& node(Var v) { return nodes_[static_cast<std::size_t>(v.id)]; }

  Pool* pool_;
  bool recording_, training_;
  Parameters* parameters_ = nullptr;
  Arena arena_;
  std::vector<Node> nodes_;
  std::size_t used_ = 0;  // of nodes_, whose shapes keep their memory
  std::vector<Step> steps_;
};

template <class F>
void Tape::on_backward(F f) {
  static_assert(std::is_trivially_destructible_v<F>, "a closure on the tape holds handles and plain values");
  if (!recording_) return;
  F* closure = arena_.make<F>(f);
  steps_.push_back({[](void* c, Tape& tape) { (*static_cast<F*>(c))(tape); }, closure});
}

}  // namespace starling::core

#include "core/train/tape.h"

namespace starling::core {

void Tape::begin(Parameters& parameters) {
  parameters_ = &parameters;
  arena_.reset();
  used_ = 0;
  steps_.clear();
}

Var Tape::make(Shape shape, bool wants) {
  if (used_ == nodes_.size()) nodes_.emplace_back();
  Node& n = nodes_[used_];
  n.shape = std::move(shape);
  n.size = element_count(n.shape);
  n.value = arena_.floats(static_cast<std::size_t>(n.size));
  n.gradient = nullptr;
  n.wants = wants && recording_;
  n.owner = static_cast<std::int32_t>(used_);
  return {static_cast<std::int32_t>(used_++)};
}

Var Tape::constant(Shape shape, std::span<const float> values) {
  const Var v = make(std::move(shape), false);
  ensure(size(v) == static_cast<std::int64_t>(values.size()), "a constant of another size than its shape");
  std::copy(values.begin(), values.end(), value(v).begin());
  return v;
}

Var Tape::parameter(std::size_t index) {
  ensure(parameters_ != nullptr, "a tape without parameters");
  const ParameterEntry& entry = parameters_->layout->entry(index);
  if (used_ == nodes_.size()) nodes_.emplace_back();
  Node& n = nodes_[used_];
  n.shape = entry.shape;
  n.size = entry.size;
  n.value = parameters_->value(index).data();
  n.gradient = parameters_->gradient(index).data();
  n.wants = recording_ && entry.part != Part::statistic;
  n.owner = static_cast<std::int32_t>(used_);
  return {static_cast<std::int32_t>(used_++)};
}

Var Tape::alias(Var v, Shape shape) {
  if (used_ == nodes_.size()) nodes_.emplace_back();
  nodes_[used_] = node(v);
  nodes_[used_].shape = std::move(shape);
  return {static_cast<std::int32_t>(used_++)};
}

std::span<float> Tape::statistic(std::size_t index) {
  ensure(parameters_ != nullptr && parameters_->layout->entry(index).part == Part::statistic, "no such statistic");
  return parameters_->value(index);
}

std::span<float> Tape::gradient(Var v) {
  const Written g = written_gradient(v);
  if (g.fresh) std::fill(g.values.begin(), g.values.end(), 0.0f);
  return g.values;
}

Tape::Written Tape::written_gradient(Var v) {
  Node& n = nodes_[static_cast<std::size_t>(node(v).owner)];
  const auto size = static_cast<std::size_t>(n.size);
  const bool fresh = n.gradient == nullptr;
  if (fresh) n.gradient = arena_.floats(size);
  return {{n.gradient, size}, fresh};
}

void Tape::backward(Var loss) {
  ensure(recording_ && size(loss) == 1, "backward() needs a recorded scalar");
  gradient(loss)[0] += 1;
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) step->run(step->closure, *this);
}

}  // namespace starling::core

// First-order optimisers over the flat vector of parameters, with the formulas and defaults of PyTorch.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/train/parameters.h"

namespace starling::core {

struct OptimizerOptions {
  std::string name = "sgd";  // one of optimizer_names()
  double momentum = 0, dampening = 0;
  bool nesterov = false;
  double weight_decay = 0;
  double beta1 = 0.9, beta2 = 0.999;
  double alpha = 0.99;     // rmsprop: memory of the squares
  double epsilon = 0;      // 0: the optimiser's own default
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// Moves every parameter but statistics against its gradient.
  virtual void step(Parameters& parameters, double learning_rate) = 0;
};

/// Kind::usage for an unknown name or a value out of range.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options);
std::span<const std::string_view> optimizer_names();

/// Learning rates over time.
struct Schedule {
  enum class Kind { constant, step, cosine, linear };
  Kind kind = Kind::constant;
  std::int64_t warmup = 0;      // steps over which the rate rises from 0
  std::int64_t total = 0;       // steps of cosine and linear, which end at `floor`
  std::int64_t every = 0;       // of step: multiplied by `factor` every so many steps
  double factor = 0.1, floor = 0;
};
double scheduled(const Schedule& schedule, double learning_rate, std::int64_t step);

/// Scales all gradients so that their Euclidean norm is at most `limit`; the norm before.
double clip_gradients(Parameters& parameters, double limit);

}  // namespace starling::core

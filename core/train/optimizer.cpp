#include "core/train/optimizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace starling::core {
namespace {

/// Calls update(parameter values, gradients, first place, count) for every run of learned parameters.
template <class Update>
void each_learned(Parameters& parameters, Update update) {
  for (const ParameterEntry& entry : parameters.layout->entries()) {
    if (entry.part == Part::statistic) continue;
    const auto begin = static_cast<std::size_t>(entry.offset), count = static_cast<std::size_t>(entry.size);
    update(parameters.values.data() + begin, parameters.gradients.data() + begin, begin, count);
  }
}

/// A vector of the optimiser beside the parameters, zeros at first.
class Memory {
 public:
  float* at(const Parameters& parameters, std::size_t begin) {
    values_.resize(parameters.values.size());
    return values_.data() + begin;
  }

 private:
  std::vector<float> values_;
};

class Sgd final : public Optimizer {
 public:
  explicit Sgd(const OptimizerOptions& o) : o_(o) {}
  void step(Parameters& parameters, double learning_rate) override {
    const auto rate = static_cast<float>(learning_rate), decay = static_cast<float>(o_.weight_decay), keep = static_cast<float>(o_.momentum);
    const float fresh = first_ ? 1.0f : 1 - static_cast<float>(o_.dampening);
    each_learned(parameters, [&](float* p, const float* g, std::size_t begin, std::size_t n) {
      if (keep == 0) {
        for (std::size_t i = 0; i < n; ++i) p[i] -= rate * (g[i] + decay * p[i]);
        return;
      }
      float* m = velocity_.at(parameters, begin);
      for (std::size_t i = 0; i < n; ++i) {
        const float d = g[i] + decay * p[i];
        m[i] = keep * m[i] + fresh * d;
        p[i] -= rate * (o_.nesterov ? d + keep * m[i] : m[i]);
      }
    });
    first_ = false;
  }

 private:
  OptimizerOptions o_;
  Memory velocity_;
  bool first_ = true;
};

class Adam final : public Optimizer {
 public:
  Adam(const OptimizerOptions& o, bool decoupled) : o_(o), decoupled_(decoupled) {}
  void step(Parameters& parameters, double learning_rate) override {
    ++steps_;
    const double mean_bias = 1 - std::pow(o_.beta1, static_cast<double>(steps_)), square_bias = 1 - std::pow(o_.beta2, static_cast<double>(steps_));
    const auto rate = static_cast<float>(learning_rate / mean_bias), root = static_cast<float>(std::sqrt(square_bias));
    const auto b1 = static_cast<float>(o_.beta1), b2 = static_cast<float>(o_.beta2), epsilon = static_cast<float>(o_.epsilon);
    const float shrink = decoupled_ ? 1 - static_cast<float>(learning_rate * o_.weight_decay) : 1.0f;
    const float decay = decoupled_ ? 0.0f : static_cast<float>(o_.weight_decay);
    each_learned(parameters, [&](float* p, const float* g, std::size_t begin, std::size_t n) {
      float *m = mean_.at(parameters, begin), *v = square_.at(parameters, begin);
      for (std::size_t i = 0; i < n; ++i) {
        const float d = g[i] + decay * p[i];
        m[i] = b1 * m[i] + (1 - b1) * d;
        v[i] = b2 * v[i] + (1 - b2) * d * d;
        p[i] = shrink * p[i] - rate * m[i] / (std::sqrt(v[i]) / root + epsilon);
      }
    });
  }

 private:
  OptimizerOptions o_;
  bool decoupled_;
  Memory mean_, square_;
  std::int64_t steps_ = 0;
};

class Adagrad final : public Optimizer {
 public:
  explicit Adagrad(const OptimizerOptions& o) : o_(o) {}
  void step(Parameters& parameters, double learning_rate) override {
    const auto rate = static_cast<float>(learning_rate), decay = static_cast<float>(o_.weight_decay), epsilon = static_cast<float>(o_.epsilon);
    each_learned(parameters, [&](float* p, const float* g, std::size_t begin, std::size_t n) {
      float* v = square_.at(parameters, begin);
      for (std::size_t i = 0; i < n; ++i) {
        const float d = g[i] + decay * p[i];
        v[i] += d * d;
        p[i] -= rate * d / (std::sqrt(v[i]) + epsilon);
      }
    });
  }

 private:
  OptimizerOptions o_;
  Memory square_;
};

class RmsProp final : public Optimizer {
 public:
  explicit RmsProp(const OptimizerOptions& o) : o_(o) {}
  void step(Parameters& parameters, double learning_rate) override {
    const auto rate = static_cast<float>(learning_rate), decay = static_cast<float>(o_.weight_decay), epsilon = static_cast<float>(o_.epsilon);
    const auto alpha = static_cast<float>(o_.alpha), keep = static_cast<float>(o_.momentum);
    each_learned(parameters, [&](float* p, const float* g, std::size_t begin, std::size_t n) {
      float *v = square_.at(parameters, begin), *m = keep > 0 ? velocity_.at(parameters, begin) : nullptr;
      for (std::size_t i = 0; i < n; ++i) {
        const float d = g[i] + decay * p[i];
        v[i] = alpha * v[i] + (1 - alpha) * d * d;
        const float scaled = d / (std::sqrt(v[i]) + epsilon);
        if (m) m[i] = keep * m[i] + scaled;
        p[i] -= rate * (m ? m[i] : scaled);
      }
    });
  }

 private:
  OptimizerOptions o_;
  Memory square_, velocity_;
};

struct Entry {
  std::string_view name;
  double epsilon;
  std::unique_ptr<Optimizer> (*make)(const OptimizerOptions&);
};

const std::array kOptimizers{
    Entry{"sgd", 0, [](const OptimizerOptions& o) -> std::unique_ptr<Optimizer> { return std::make_unique<Sgd>(o); }},
    Entry{"adam", 1e-8, [](const OptimizerOptions& o) -> std::unique_ptr<Optimizer> { return std::make_unique<Adam>(o, false); }},
    Entry{"adamw", 1e-8, [](const OptimizerOptions& o) -> std::unique_ptr<Optimizer> { return std::make_unique<Adam>(o, true); }},
    Entry{"adagrad", 1e-10, [](const OptimizerOptions& o) -> std::unique_ptr<Optimizer> { return std::make_unique<Adagrad>(o); }},
    Entry{"rmsprop", 1e-8, [](const OptimizerOptions& o) -> std::unique_ptr<Optimizer> { return std::make_unique<RmsProp>(o); }},
};

constexpr std::array<std::string_view, 5> kNames{"sgd", "adam", "adamw", "adagrad", "rmsprop"};

}  // namespace

std::span<const std::string_view> optimizer_names() { return kNames; }

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options) {
  const auto in_unit = [](double v) { return v >= 0 && v < 1; };
  check(in_unit(options.momentum) && in_unit(options.dampening) && in_unit(options.beta1) && in_unit(options.beta2) && in_unit(options.alpha),
        Kind::usage, "optimizer: momentum, dampening, beta1, beta2 and alpha lie from 0 to below 1");
  check(options.weight_decay >= 0 && options.epsilon >= 0, Kind::usage, "optimizer: weight_decay and epsilon are not negative");
  check(!options.nesterov || options.momentum > 0, Kind::usage, "optimizer: nesterov needs a momentum");
  for (const Entry& entry : kOptimizers) {
    if (entry.name != options.name) continue;
    OptimizerOptions o = options;
    if (o.epsilon == 0) o.epsilon = entry.epsilon;
    return entry.make(o);
  }
  fail(Kind::usage, "optimizer '{}' is unknown; known: {}", options.name, fmt::join(kNames, " "));
}

double scheduled(const Schedule& s, double learning_rate, std::int64_t step) {
  if (step < s.warmup) return learning_rate * static_cast<double>(step + 1) / static_cast<double>(s.warmup);
  if (s.kind == Schedule::Kind::step && s.every > 0) return learning_rate * std::pow(s.factor, static_cast<double>(step / s.every));
  if (s.kind == Schedule::Kind::constant || s.total <= s.warmup) return learning_rate;
  const double done = std::min(1.0, static_cast<double>(step - s.warmup) / static_cast<double>(s.total - s.warmup));
  const double left = s.kind == Schedule::Kind::cosine ? (1 + std::cos(std::numbers::pi * done)) / 2 : 1 - done;
  return s.floor + (learning_rate - s.floor) * left;
}

double clip_gradients(Parameters& parameters, double limit) {
  double squares = 0;
  each_learned(parameters, [&](float*, const float* g, std::size_t, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) squares += static_cast<double>(g[i]) * static_cast<double>(g[i]);
  });
  const double norm = std::sqrt(squares);
  if (norm > limit) {
    const auto factor = static_cast<float>(limit / norm);
    for (float& g : parameters.gradients) g *= factor;
  }
  return norm;
}

}  // namespace starling::core

#include "federated/strategies/averaged.h"

#include "core/error.h"

namespace starling::federated {

bool equal_weights(const StrategyOptions& o) {
  core::check(o.weights == "examples" || o.weights == "equal", core::Kind::usage, "strategy {}: weights = '{}', expected examples or equal", o.name, o.weights);
  return o.weights == "equal";
}

void Averaged::begin(std::span<const float> x) {
  core::ensure(x.size() == size(), "a model of another size than its layout");
  models_.clear();
  replies_ = 0;
}

void Averaged::add(const Reply& reply) {
  models_.add(reply.model, weight(reply));
  ++replies_;
}

Outcome Averaged::finish(std::span<float> x) {
  if (replies_ == 0 || models_.weight() == 0) return {false, replies_ == 0 ? "no reply could be used" : "all weights are 0", {}};
  before_steps();
  for (const core::ParameterEntry& entry : layout_->entries()) {
    if (untouched(entry)) continue;
    const auto begin = static_cast<std::size_t>(entry.offset), end = begin + static_cast<std::size_t>(entry.size);
    for (std::size_t i = begin; i < end; ++i) {
      const double mean = models_.mean(i), now = static_cast<double>(x[i]);
      // Statistics are means of what was measured: no server optimiser touches them.
      x[i] = static_cast<float>(entry.part == core::Part::statistic ? mean : step(i, now, mean - now));
    }
  }
  Outcome outcome{true, "", {}};
  after_steps(outcome);
  return outcome;
}

void check_setting(bool ok, std::string_view strategy, std::string_view setting, double value, std::string_view expected) {
  core::check(ok, core::Kind::usage, "strategy {}: {} = {}, expected {}", strategy, setting, value, expected);
}

}  // namespace starling::federated

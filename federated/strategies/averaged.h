// The strategies that move the model along the mean of its clients' moves. The mean is exact (exact_sum.h); the move is
// computed in double and rounded once, by one formula for all, so that variants whose extra does nothing equal FedAvg
// to the last bit.
#pragma once

#include <memory>

#include "federated/exact_sum.h"
#include "federated/strategy.h"

namespace starling::federated {

/// Whether all replies count alike. Kind::usage for unknown weights.
bool equal_weights(const StrategyOptions& options);

class Averaged : public Strategy {
 public:
  /// Kind::usage for unknown weights.
  Averaged(const StrategyOptions& options, std::shared_ptr<const core::ParameterLayout> layout)
      : layout_(std::move(layout)), equal_(equal_weights(options)), models_(static_cast<std::size_t>(layout_->size())) {}

  void begin(std::span<const float> x) override;
  void add(const Reply& reply) override;
  Outcome finish(std::span<float> x) override;

 protected:
  /// Of this reply in the mean of the models.
  virtual double weight(const Reply& reply) const { return equal_ ? 1 : reply.examples; }
  /// The new value i of a learned parameter at x whose clients moved by `move` in the mean.
  virtual double step(std::size_t i, double x, double move) = 0;
  /// Called before the steps of a round that has replies.
  virtual void before_steps() {}
  virtual void after_steps(Outcome&) {}
  /// Entries that the server never touches.
  virtual bool untouched(const core::ParameterEntry&) const { return false; }

  const core::ParameterLayout& layout() const { return *layout_; }
  std::size_t size() const { return models_.size(); }
  std::size_t replies() const { return replies_; }
  double weight_sum() const { return models_.weight(); }

 private:
  std::shared_ptr<const core::ParameterLayout> layout_;
  bool equal_;
  ExactSum models_;
  std::size_t replies_ = 0;
};

/// Kind::usage naming strategy and setting unless `ok`.
void check_setting(bool ok, std::string_view strategy, std::string_view setting, double value, std::string_view expected);

}  // namespace starling::federated

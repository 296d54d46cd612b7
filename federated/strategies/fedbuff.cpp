// FedBuff (Nguyen et al. 2022): updates of any age enter a buffer, each the less the older; when it is full the model
// moves by their sum over the buffer's size. A round with fresh updates alone is FedAvg's, unweighted, bit for bit.
#include <cmath>

#include "core/error.h"
#include "federated/strategies/averaged.h"

namespace starling::federated {
namespace {

using Layout = std::shared_ptr<const core::ParameterLayout>;

class FedBuff final : public Averaged {
 public:
  FedBuff(const StrategyOptions& o, const Layout& layout)
      : Averaged(o, layout),
        rate_(o.server_learning_rate > 0 ? o.server_learning_rate : 1),
        buffer_(o.buffer),
        kind_(o.staleness),
        a_(o.staleness_a),
        b_(o.staleness_b),
        starts_(static_cast<std::size_t>(layout->size())) {
    check_setting(buffer_ > 0, "fedbuff", "buffer", static_cast<double>(buffer_), "at least 1");
    check_setting(a_ >= 0, "fedbuff", "staleness_a", a_, "not negative");
    core::check(kind_ == "constant" || kind_ == "polynomial" || kind_ == "threshold" || kind_ == "hinge", core::Kind::usage,
                "strategy fedbuff: staleness = '{}', expected constant, polynomial, threshold or hinge", kind_);
  }
  void begin(std::span<const float> x) override {
    Averaged::begin(x);
    x_.assign(x.begin(), x.end());
    starts_.clear();
    stale_ = false;
    ages_ = 0;
  }
  void add(const Reply& reply) override {
    core::check(reply.staleness >= 0 && (reply.staleness == 0 || reply.start.size() == x_.size()), core::Kind::malformed,
                "client {}: an update {} versions old without the model it started from", reply.client, reply.staleness);
    Averaged::add(reply);
    starts_.add(reply.start.empty() ? std::span<const float>(x_) : reply.start, weight(reply));
    stale_ = stale_ || reply.staleness > 0;
    ages_ += reply.staleness;
  }
  Outcome finish(std::span<float> x) override {
    if (static_cast<std::int64_t>(replies()) < buffer_) return {false, "the buffer is not full", {}};
    Outcome outcome = Averaged::finish(x);
    outcome.metrics["staleness"] = static_cast<double>(ages_) / static_cast<double>(replies());
    begin(x);
    return outcome;
  }

 protected:
  double weight(const Reply& reply) const override {
    const auto s = static_cast<double>(reply.staleness);
    if (kind_ == "polynomial") return std::pow(1 + s, -a_);
    if (kind_ == "threshold") return s <= b_ ? 1 : a_;
    if (kind_ == "hinge") return s <= b_ ? 1 : 1 / (a_ * (s - b_) + 1);
    return 1;
  }
  void before_steps() override { stretch_ = rate_ * weight_sum() / static_cast<double>(buffer_); }
  double step(std::size_t i, double x, double move) override {
    if (stale_) move += x - starts_.mean(i);
    return x + stretch_ * move;
  }

 private:
  double rate_, stretch_ = 0;
  std::int64_t buffer_;
  std::string kind_;
  double a_, b_;
  ExactSum starts_;
  std::vector<float> x_;
  bool stale_ = false;
  std::int64_t ages_ = 0;
};

}  // namespace

std::unique_ptr<Strategy> make_fedbuff(const StrategyOptions& o, const Layout& layout) { return std::make_unique<FedBuff>(o, layout); }

}  // namespace starling::federated

// q-FedAvg (Li et al. 2020, "Fair resource allocation"): clients with a larger loss at the model they got count more.
#include <cmath>
#include <map>

#include "core/error.h"
#include "federated/strategies/averaged.h"

namespace starling::federated {
namespace {

using Layout = std::shared_ptr<const core::ParameterLayout>;

class QFedAvg final : public Averaged {
 public:
  QFedAvg(const StrategyOptions& o, const Layout& layout) : Averaged(o, layout), q_(o.q), lipschitz_(1 / o.client_learning_rate) {
    check_setting(q_ >= 0, "q-fedavg", "q", q_, "not negative");
    check_setting(o.client_learning_rate > 0, "q-fedavg", "client learning_rate", o.client_learning_rate, "above 0");
  }
  LocalWork local_work() const override {
    LocalWork work;
    work.loss_at_start = true;
    return work;
  }
  void begin(std::span<const float> x) override {
    Averaged::begin(x);
    x_.assign(x.begin(), x.end());
    curvatures_.clear();
  }
  void add(const Reply& reply) override {
    core::check(std::isfinite(reply.loss_at_start) && reply.loss_at_start >= 0, core::Kind::malformed, "client {}: loss at the start {}, expected a number that is not negative",
                reply.client, reply.loss_at_start);
    Averaged::add(reply);
    double squares = 0;
    for (std::size_t i = 0; i < x_.size(); ++i) {
      const double d = lipschitz_ * (static_cast<double>(x_[i]) - static_cast<double>(reply.model[i]));
      squares += d * d;
    }
    const double f = reply.loss_at_start + kTiny;
    curvatures_[reply.client] = q_ * std::pow(f, q_ - 1) * squares + lipschitz_ * std::pow(f, q_);
  }

 protected:
  double weight(const Reply& reply) const override { return std::pow(reply.loss_at_start + kTiny, q_); }
  void before_steps() override {
    double curvature = 0;
    for (const auto& [client, h] : curvatures_) curvature += h;  // by client id
    stretch_ = lipschitz_ * weight_sum() / curvature;
  }
  double step(std::size_t, double x, double move) override { return x + stretch_ * move; }

 private:
  static constexpr double kTiny = 1e-10;
  double q_, lipschitz_, stretch_ = 0;
  std::vector<float> x_;
  std::map<std::int64_t, double> curvatures_;
};

}  // namespace

std::unique_ptr<Strategy> make_q_fedavg(const StrategyOptions& o, const Layout& layout) { return std::make_unique<QFedAvg>(o, layout); }

}  // namespace starling::federated

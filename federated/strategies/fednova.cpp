// FedNova (Wang et al. 2020): every client's move counts per unit of its optimiser's work |a_k|, and the sum is as long
// as the mean work. Clients without a step do not count.
#include "core/error.h"
#include "federated/strategies/averaged.h"

namespace starling::federated {
namespace {

using Layout = std::shared_ptr<const core::ParameterLayout>;

class FedNova final : public Averaged {
 public:
  FedNova(const StrategyOptions& o, const Layout& layout)
      : Averaged(o, layout), rate_(o.server_learning_rate > 0 ? o.server_learning_rate : 1), work_(1) {}
  void begin(std::span<const float> x) override {
    Averaged::begin(x);
    work_.clear();
  }
  void add(const Reply& reply) override {
    if (reply.steps == 0) return;
    core::check(reply.normaliser > 0 && reply.normaliser < 65536, core::Kind::malformed, "client {}: normaliser {}, expected above 0 and below 65536",
                reply.client, reply.normaliser);
    Averaged::add(reply);
    const float steps[1] = {static_cast<float>(reply.normaliser)};
    work_.add(steps, Averaged::weight(reply));
  }

 protected:
  // sum p_k d_k * tau_eff = (sum of n_k / a_k (y_k - x) / sum of n_k) * (sum p_k a_k): the mean by the weights n_k / a_k,
  // stretched by what their sum is short of.
  double weight(const Reply& reply) const override { return Averaged::weight(reply) / reply.normaliser; }
  void before_steps() override { stretch_ = rate_ * work_.mean(0) * weight_sum() / work_.weight(); }
  double step(std::size_t, double x, double move) override { return x + stretch_ * move; }
  void after_steps(Outcome& outcome) override { outcome.metrics["effective_steps"] = work_.mean(0); }

 private:
  double rate_, stretch_ = 0;
  ExactSum work_;  // mean of the normalisers, weighted as the replies are
};

}  // namespace

std::unique_ptr<Strategy> make_fednova(const StrategyOptions& o, const Layout& layout) { return std::make_unique<FedNova>(o, layout); }

}  // namespace starling::federated

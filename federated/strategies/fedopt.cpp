// Server optimisers over the mean move: FedAvgM (Hsu et al. 2019) and FedAdagrad, FedAdam, FedYogi (Reddi et al. 2021),
// with Flower's defaults.
#include <cmath>

#include "core/error.h"
#include "federated/strategies/averaged.h"

namespace starling::federated {
namespace {

using Layout = std::shared_ptr<const core::ParameterLayout>;

double given(double value, double otherwise) { return value < 0 ? otherwise : value; }

class FedAvgM final : public Averaged {
 public:
  FedAvgM(const StrategyOptions& o, const Layout& layout)
      : Averaged(o, layout), rate_(o.server_learning_rate > 0 ? o.server_learning_rate : 1), beta_(given(o.server_momentum, 0)) {
    check_setting(beta_ < 1, "fedavgm", "server_momentum", beta_, "below 1");
  }
  std::vector<std::pair<std::string, std::vector<float>*>> state() override {
    momentum_.resize(size());
    return {{"momentum", &momentum_}};
  }

 protected:
  void before_steps() override { momentum_.resize(size()); }
  double step(std::size_t i, double x, double move) override {
    // The paper's g points against the move. What the memory rounds away is small beside beta times it; without
    // momentum nothing passes through the memory.
    const double m = beta_ * static_cast<double>(momentum_[i]) + move;
    momentum_[i] = static_cast<float>(m);
    return x + rate_ * m;
  }

 private:
  double rate_, beta_;
  std::vector<float> momentum_;
};

enum class Second { adagrad, adam, yogi };

class FedOpt final : public Averaged {
 public:
  FedOpt(const StrategyOptions& o, const Layout& layout, Second second, std::string_view name, double rate, double beta1)
      : Averaged(o, layout),
        second_(second),
        rate_(o.server_learning_rate > 0 ? o.server_learning_rate : rate),
        beta1_(given(o.beta1, beta1)),
        beta2_(given(o.beta2, 0.99)),
        tau_(o.tau),
        correction_(o.bias_correction) {
    check_setting(beta1_ < 1, name, "beta1", beta1_, "from 0 to below 1");
    check_setting(beta2_ < 1, name, "beta2", beta2_, "from 0 to below 1");
    check_setting(tau_ > 0, name, "tau", tau_, "above 0");
    core::check(correction_ == "none" || correction_ == "adam" || correction_ == "flower", core::Kind::usage,
                "strategy {}: bias_correction = '{}', expected none, adam or flower", name, correction_);
  }
  std::vector<std::pair<std::string, std::vector<float>*>> state() override {
    prepare();
    return {{"mean", &mean_}, {"square", &square_}, {"rounds", &rounds_}};
  }

 protected:
  void before_steps() override {
    prepare();
    rounds_[0] += 1;
    const double t = static_cast<double>(rounds_[0]) + (correction_ == "flower" ? 1 : 0);
    scale_ = correction_ == "none" ? rate_ : rate_ * std::sqrt(1 - std::pow(beta2_, t)) / (1 - std::pow(beta1_, t));
  }
  double step(std::size_t i, double x, double move) override {
    const double m = beta1_ * static_cast<double>(mean_[i]) + (1 - beta1_) * move, square = move * move;
    double v = static_cast<double>(square_[i]);
    if (second_ == Second::adagrad) v += square;
    if (second_ == Second::adam) v = beta2_ * v + (1 - beta2_) * square;
    if (second_ == Second::yogi) v -= (1 - beta2_) * square * (v > square ? 1 : v < square ? -1 : 0);
    mean_[i] = static_cast<float>(m);
    square_[i] = static_cast<float>(v);
    return x + scale_ * m / (std::sqrt(v) + tau_);
  }

 private:
  void prepare() {
    mean_.resize(size());
    square_.resize(size());
  }
  Second second_;
  double rate_, beta1_, beta2_, tau_, scale_ = 0;
  std::string correction_;
  std::vector<float> mean_, square_, rounds_ = {0};
};

}  // namespace

std::unique_ptr<Strategy> make_fedavgm(const StrategyOptions& o, const Layout& layout) { return std::make_unique<FedAvgM>(o, layout); }
std::unique_ptr<Strategy> make_fedadagrad(const StrategyOptions& o, const Layout& layout) {
  return std::make_unique<FedOpt>(o, layout, Second::adagrad, "fedadagrad", 0.1, 0);
}
std::unique_ptr<Strategy> make_fedadam(const StrategyOptions& o, const Layout& layout) {
  return std::make_unique<FedOpt>(o, layout, Second::adam, "fedadam", 0.1, 0.9);
}
std::unique_ptr<Strategy> make_fedyogi(const StrategyOptions& o, const Layout& layout) {
  return std::make_unique<FedOpt>(o, layout, Second::yogi, "fedyogi", 0.01, 0.9);
}

}  // namespace starling::federated

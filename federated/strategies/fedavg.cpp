// FedAvg (McMahan et al. 2017): the mean of the clients' models, weighted by their examples. FedProx (Li et al. 2020)
// differs in local training alone; FedBN (Li et al. 2021) in what travels.
#include "federated/strategies/averaged.h"

namespace starling::federated {
namespace {

class FedAvg : public Averaged {
 public:
  FedAvg(const StrategyOptions& o, const std::shared_ptr<const core::ParameterLayout>& layout)
      : Averaged(o, layout), rate_(o.server_learning_rate > 0 ? o.server_learning_rate : 1) {}

 protected:
  double step(std::size_t, double x, double move) override { return x + rate_ * move; }

 private:
  double rate_;
};

class FedProx final : public FedAvg {
 public:
  FedProx(const StrategyOptions& o, const std::shared_ptr<const core::ParameterLayout>& layout) : FedAvg(o, layout), mu_(o.proximal) {
    check_setting(mu_ >= 0, "fedprox", "proximal", mu_, "not negative");
  }
  LocalWork local_work() const override {
    LocalWork work;
    work.proximal = mu_;
    return work;
  }

 private:
  double mu_;
};

class FedBn final : public FedAvg {
 public:
  FedBn(const StrategyOptions& o, const std::shared_ptr<const core::ParameterLayout>& layout)
      : FedAvg(o, layout), exchanged_(std::make_shared<const Exchanged>(*layout, FedBn::local_work())) {}
  LocalWork local_work() const override {
    LocalWork work;
    work.norms_stay_home = true;
    return work;
  }
  std::shared_ptr<const Exchanged> exchanged() const override { return exchanged_; }

 protected:
  bool untouched(const core::ParameterEntry& entry) const override { return stays_home(entry, local_work()); }

 private:
  std::shared_ptr<const Exchanged> exchanged_;
};

}  // namespace

using Layout = std::shared_ptr<const core::ParameterLayout>;
std::unique_ptr<Strategy> make_fedavg(const StrategyOptions& o, const Layout& layout) { return std::make_unique<FedAvg>(o, layout); }
std::unique_ptr<Strategy> make_fedprox(const StrategyOptions& o, const Layout& layout) { return std::make_unique<FedProx>(o, layout); }
std::unique_ptr<Strategy> make_fedbn(const StrategyOptions& o, const Layout& layout) { return std::make_unique<FedBn>(o, layout); }

}  // namespace starling::federated

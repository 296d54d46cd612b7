// SCAFFOLD (Karimireddy et al. 2020): the plain mean of the moves, and control variates that the server averages over
// all clients there are.
#include "core/error.h"
#include "federated/strategies/averaged.h"

namespace starling::federated {
namespace {

using Layout = std::shared_ptr<const core::ParameterLayout>;

class Scaffold final : public Averaged {
 public:
  Scaffold(const StrategyOptions& o, const Layout& layout)
      : Averaged(o, layout),
        rate_(o.server_learning_rate > 0 ? o.server_learning_rate : 1),
        clients_(static_cast<double>(o.clients)),
        changes_(static_cast<std::size_t>(layout->size())),
        control_(changes_.size()) {
    check_setting(o.clients > 0, "scaffold", "clients", clients_, "the number of all clients");
  }
  LocalWork local_work() const override {
    LocalWork work;
    work.control_variates = true;
    return work;
  }
  void begin(std::span<const float> x) override {
    Averaged::begin(x);
    changes_.clear();
  }
  void add(const Reply& reply) override {
    ExactSum change(changes_.size());
    change.add(reply.control, 1);  // before the model: a reply counts whole or not at all
    Averaged::add(reply);
    changes_.merge(change);
  }
  std::span<const float> control() const override { return control_; }
  std::vector<std::pair<std::string, std::vector<float>*>> state() override { return {{"control", &control_}}; }

 protected:
  double weight(const Reply&) const override { return 1; }
  double step(std::size_t, double x, double move) override { return x + rate_ * move; }
  void after_steps(Outcome&) override {
    for (std::size_t i = 0; i < control_.size(); ++i)
      control_[i] = static_cast<float>(static_cast<double>(control_[i]) + changes_.sum(i) / clients_);
  }

 private:
  double rate_, clients_;
  ExactSum changes_;
  std::vector<float> control_;
};

}  // namespace

std::unique_ptr<Strategy> make_scaffold(const StrategyOptions& o, const Layout& layout) { return std::make_unique<Scaffold>(o, layout); }

}  // namespace starling::federated

// Strategies that need all updates of a round at once: the robust rules of robust.h in place of the mean. Too few
// updates for a rule's promise leave the model as it is. In buckets (Karimireddy, He, Jaggi 2022) a rule sees the means of a
// few updates each, which are more alike than the updates of unlike clients are.
#include <algorithm>
#include <functional>

#include "core/error.h"
#include "core/random_stream.h"
#include "federated/exact_sum.h"
#include "federated/robust.h"
#include "federated/strategies/averaged.h"

namespace starling::federated {
namespace {

using Layout = std::shared_ptr<const core::ParameterLayout>;

struct Kept {
  std::int64_t client;
  double examples;
  std::vector<float> model;
};

/// What a rule makes of the updates, sorted by client; it may add metrics.
using Rule = std::function<std::vector<float>(Updates, const std::vector<Kept>&, Outcome&)>;

class Robust final : public Strategy {
 public:
  Robust(const StrategyOptions& o, Rule rule)
      : rate_(o.server_learning_rate > 0 ? o.server_learning_rate : 1), bucket_(static_cast<std::size_t>(o.bucket)), seed_(o.seed), rule_(std::move(rule)) {
    check_setting(o.bucket > 0, o.name, "bucket", static_cast<double>(o.bucket), "at least 1");
  }

  void begin(std::span<const float> x) override {
    size_ = x.size();
    kept_.clear();
    rounds_[0] += 1;
  }
  void add(const Reply& reply) override {
    core::check(reply.model.size() == size_, core::Kind::malformed, "client {}: an update of {} values, expected {}", reply.client, reply.model.size(), size_);
    const auto place = std::lower_bound(kept_.begin(), kept_.end(), reply.client, [](const Kept& k, std::int64_t id) { return k.client < id; });
    kept_.insert(place, {reply.client, reply.examples, {reply.model.begin(), reply.model.end()}});
  }
  Outcome finish(std::span<float> x) override {
    if (kept_.empty()) return {false, "no reply could be used", {}};
    if (bucket_ > 1) pour();
    std::vector<std::span<const float>> updates;
    for (const Kept& k : kept_) updates.emplace_back(k.model);
    Outcome outcome{true, "", {}};
    try {
      const std::vector<float> result = rule_(updates, kept_, outcome);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double now = static_cast<double>(x[i]);
        x[i] = static_cast<float>(now + rate_ * (static_cast<double>(result[i]) - now));
      }
    } catch (const core::Error& error) {
      if (error.kind() != core::Kind::refused) throw;
      return {false, error.what(), {}};
    }
    return outcome;
  }
  std::vector<std::pair<std::string, std::vector<float>*>> state() override {
    if (bucket_ == 1) return {};
    return {{"rounds", &rounds_}};
  }

 private:
  /// The plain mean of every bucket in place of its replies, under the name of the first of them.
  void pour() {
    core::RandomStream random(seed_, core::Purpose::buckets, {static_cast<std::uint64_t>(rounds_[0]), 0, 0});
    random.shuffle(std::span(kept_));
    std::vector<Kept> buckets;
    for (std::size_t begin = 0; begin < kept_.size(); begin += bucket_) {
      const std::size_t end = std::min(kept_.size(), begin + bucket_);
      Kept mean{kept_[begin].client, 0, std::vector<float>(size_)};
      for (std::size_t k = begin; k < end; ++k) mean.examples += kept_[k].examples;
      for (std::size_t i = 0; i < size_; ++i) {
        double sum = 0;
        for (std::size_t k = begin; k < end; ++k) sum += static_cast<double>(kept_[k].model[i]);
        mean.model[i] = static_cast<float>(sum / static_cast<double>(end - begin));
      }
      buckets.push_back(std::move(mean));
    }
    kept_ = std::move(buckets);
  }

  double rate_;
  std::size_t bucket_;
  std::uint64_t seed_;
  Rule rule_;
  std::size_t size_ = 0;
  std::vector<Kept> kept_;
  std::vector<float> rounds_ = {0};  // begun so far
};

std::size_t hostile(const StrategyOptions& o) {
  check_setting(o.hostile >= 0, o.name, "hostile", static_cast<double>(o.hostile), "not negative");
  return static_cast<std::size_t>(o.hostile);
}

}  // namespace

std::unique_ptr<Strategy> make_median(const StrategyOptions& o, const Layout&) {
  return std::make_unique<Robust>(o, [](Updates u, const std::vector<Kept>&, Outcome&) { return median(u); });
}

std::unique_ptr<Strategy> make_trimmed_mean(const StrategyOptions& o, const Layout&) {
  check_setting(o.trim >= 0 && o.trim < 0.5, "trimmed-mean", "trim", o.trim, "from 0 to below 0.5");
  return std::make_unique<Robust>(o, [share = o.trim](Updates u, const std::vector<Kept>&, Outcome&) { return trimmed_mean(u, share); });
}

std::unique_ptr<Strategy> make_krum(const StrategyOptions& o, const Layout&) {
  return std::make_unique<Robust>(o, [f = hostile(o)](Updates u, const std::vector<Kept>& kept, Outcome& outcome) {
    const std::size_t winner = krum_select(u, f, 1).front();
    outcome.metrics["chosen"] = static_cast<double>(kept[winner].client);
    return std::vector<float>(u[winner].begin(), u[winner].end());
  });
}

std::unique_ptr<Strategy> make_multi_krum(const StrategyOptions& o, const Layout&) {
  check_setting(o.keep >= 0, "multi-krum", "keep", static_cast<double>(o.keep), "not negative");
  return std::make_unique<Robust>(o, [f = hostile(o), keep = static_cast<std::size_t>(o.keep), equal = equal_weights(o)](Updates u, const std::vector<Kept>& kept, Outcome& outcome) {
    const std::vector<std::size_t> chosen = krum_select(u, f, keep > 0 ? keep : u.size() > f ? u.size() - f : 1);
    ExactSum sum(u.front().size());
    for (const std::size_t i : chosen) sum.add(u[i], equal ? 1 : kept[i].examples);
    core::check(sum.weight() > 0, core::Kind::refused, "multi-krum: all weights are 0");
    outcome.metrics["chosen"] = static_cast<double>(chosen.size());
    std::vector<float> mean(sum.size());
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] = static_cast<float>(sum.mean(i));
    return mean;
  });
}

std::unique_ptr<Strategy> make_bulyan(const StrategyOptions& o, const Layout&) {
  core::check(o.selection == "iterative" || o.selection == "oneshot", core::Kind::usage, "strategy bulyan: selection = '{}', expected iterative or oneshot",
              o.selection);
  const auto selection = o.selection == "iterative" ? BulyanSelection::iterative : BulyanSelection::oneshot;
  return std::make_unique<Robust>(o, [f = hostile(o), selection](Updates u, const std::vector<Kept>&, Outcome&) { return bulyan(u, f, selection); });
}

}  // namespace starling::federated

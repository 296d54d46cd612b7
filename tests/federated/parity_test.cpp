// The strategies give the models that an independent program computed from their papers' formulas in double
// (tests/golden/make_strategy_golden.py): five rounds of seven fixed replies, 1e-6 of every value.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <set>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "federated/strategy.h"
#include "tests/data.h"

using namespace starling;
using namespace starling::federated;

namespace {

using Json = nlohmann::json;

StrategyOptions options_of(const std::string& name, const Json& settings) {
  using O = StrategyOptions;
  static const std::map<std::string, double O::*> kNumbers{{"server_learning_rate", &O::server_learning_rate}, {"server_momentum", &O::server_momentum},
                                                           {"proximal", &O::proximal}, {"beta1", &O::beta1}, {"beta2", &O::beta2}, {"tau", &O::tau},
                                                           {"q", &O::q}, {"client_learning_rate", &O::client_learning_rate}, {"trim", &O::trim}};
  static const std::map<std::string, std::int64_t O::*> kCounts{{"hostile", &O::hostile}, {"keep", &O::keep}};
  O o;
  o.name = name;
  for (const auto& [key, value] : settings.items()) {
    if (kNumbers.count(key) > 0)
      o.*kNumbers.at(key) = value.get<double>();
    else if (kCounts.count(key) > 0)
      o.*kCounts.at(key) = value.get<std::int64_t>();
    else
      o.selection = value.get<std::string>();
  }
  return o;
}

std::shared_ptr<const core::ParameterLayout> layout_of(const Json& tensors) {
  auto layout = std::make_shared<core::ParameterLayout>();
  for (const auto& [name, shape] : tensors.items()) layout->add(name, shape.get<core::Shape>(), {});
  return layout;
}

/// The largest error of a value, relative to it, over all rounds.
double worst(const Json& golden, const Json& expected, const StrategyOptions& options, bool backwards) {
  const auto strategy = make_strategy(options, layout_of(golden.at("tensors")));
  auto x = golden.at("start").get<std::vector<float>>();
  double error = 0;
  for (std::size_t t = 0; t < golden.at("rounds").size(); ++t) {
    const Json& round = golden.at("rounds")[t];
    strategy->begin(x);
    for (std::size_t i = 0; i < round.at("clients").size(); ++i) {
      const std::size_t k = backwards ? round.at("clients").size() - 1 - i : i;
      const auto model = round.at("models")[k].get<std::vector<float>>();
      Reply reply;
      reply.client = round.at("clients")[k];
      reply.examples = round.at("examples")[k];
      reply.steps = 5;
      reply.loss_at_start = round.at("losses")[k];
      reply.model = model;
      strategy->add(reply);
    }
    CHECK(strategy->finish(x).changed);
    const auto y = expected[t].get<std::vector<double>>();
    REQUIRE(y.size() == x.size());
    for (std::size_t i = 0; i < x.size(); ++i) error = std::max(error, std::abs(static_cast<double>(x[i]) - y[i]) / std::abs(y[i]));
  }
  return error;
}

}  // namespace

TEST_CASE("five rounds of fixed replies give the models of an independent computation") {
  std::ifstream in(tests::golden("strategies.json"));
  const Json golden = Json::parse(in);
  REQUIRE(golden.at("tensors").size() == 3);
  REQUIRE(golden.at("rounds").size() == 5);
  std::set<std::string> seen;
  for (const Json& c : golden.at("cases")) {
    const auto name = c.at("strategy").get<std::string>();
    CAPTURE(name);
    CAPTURE(c.at("settings").dump());
    seen.insert(name);
    CHECK(worst(golden, c.at("models"), options_of(name, c.at("settings")), false) < 1e-6);
    CHECK(worst(golden, c.at("models"), options_of(name, c.at("settings")), true) < 1e-6);
    if (c.at("defaults").get<bool>()) CHECK(worst(golden, c.at("models"), options_of(name, Json::object()), false) < 1e-6);
  }
  CHECK(seen.size() == 12);
}

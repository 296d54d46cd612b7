// The robust rules as strategies: buckets of replies, and replies that count alike.
#include <algorithm>

#include <doctest/doctest.h>

#include "core/error.h"
#include "federated/strategy.h"

using namespace starling;
using namespace starling::federated;

namespace {

std::unique_ptr<Strategy> make(const StrategyOptions& o) {
  auto layout = std::make_shared<core::ParameterLayout>();
  layout->add("w", {1}, {});
  return make_strategy(o, layout);
}

StrategyOptions named(const std::string& name) {
  StrategyOptions o;
  o.name = name;
  return o;
}

struct Given {
  std::int64_t client;
  float value;
  double examples = 10;
};

float round_of(Strategy& s, const std::vector<Given>& replies) {
  std::vector<float> x{0};
  s.begin(x);
  for (const Given& g : replies) {
    Reply r;
    r.client = g.client;
    r.examples = g.examples;
    r.steps = 1;
    r.normaliser = 1;
    const float model[1] = {g.value};
    r.model = model;
    s.add(r);
  }
  return s.finish(x).changed ? x[0] : -1;
}

std::vector<Given> eight() { return {{0, 1}, {1, 2}, {2, 4}, {3, 8}, {4, 16}, {5, 32}, {6, 64}, {7, 128}}; }

}  // namespace

TEST_CASE("in buckets a rule sees the means of replies that are drawn anew in every round") {
  StrategyOptions o = named("krum");
  o.bucket = 2;
  const auto krum = make(o), again = make(o);
  std::vector<float> chosen;
  for (int round = 0; round < 20; ++round) {
    // The mean of some two of the eight, whoever answered first.
    const float value = round_of(*krum, eight());
    bool found = false;
    for (const Given& a : eight())
      for (const Given& b : eight()) found = found || (a.client != b.client && value == (a.value + b.value) / 2);
    CHECK(found);
    auto turned = eight();
    std::reverse(turned.begin(), turned.end());
    CHECK(round_of(*again, turned) == value);
    chosen.push_back(value);
  }
  CHECK(std::adjacent_find(chosen.begin(), chosen.end(), std::not_equal_to<>()) != chosen.end());
  o.seed = 2;
  const auto other = make(o);
  std::vector<float> drawn_otherwise;
  for (int round = 0; round < 20; ++round) drawn_otherwise.push_back(round_of(*other, eight()));
  CHECK(drawn_otherwise != chosen);
}

TEST_CASE("the last bucket holds what is left, and one of everything is the mean") {
  StrategyOptions o = named("median");
  o.bucket = 8;
  CHECK(round_of(*make(o), eight()) == 255.0f / 8);
  o.bucket = 5;  // the median of two means: five replies and three
  const float value = round_of(*make(o), {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {4, 0}, {5, 0}, {6, 0}, {7, 30}});
  CHECK((value == 3.0f || value == 5.0f));
}

TEST_CASE("buckets leave the rule its precondition, and a round that resumes draws what it would have drawn") {
  StrategyOptions o = named("krum");
  o.bucket = 2;
  o.hostile = 1;  // which needs five, and there are four buckets
  CHECK(round_of(*make(o), eight()) == -1);
  o.hostile = 0;
  const auto first = make(o), second = make(o);
  for (int round = 0; round < 3; ++round) round_of(*first, eight());
  REQUIRE(first->state().size() == 1);
  *second->state()[0].second = *first->state()[0].second;
  for (int round = 0; round < 5; ++round) CHECK(round_of(*first, eight()) == round_of(*second, eight()));
}

TEST_CASE("replies count by their examples, or all alike") {
  const std::vector<Given> replies{{0, 1, 30}, {1, 2, 10}, {2, 3, 10}, {3, 4, 10}, {4, 5, 40}};
  for (const std::string name : {"fedavg", "fedprox", "fedavgm", "fednova", "multi-krum"}) {
    CAPTURE(name);
    StrategyOptions o = named(name);
    o.keep = 5;
    CHECK(round_of(*make(o), replies) == doctest::Approx(3.2));
    o.weights = "equal";
    CHECK(round_of(*make(o), replies) == doctest::Approx(3));
  }
  for (const std::string name : {"fedavg", "multi-krum"}) {
    StrategyOptions o = named(name);
    o.weights = "none";
    CHECK_THROWS_AS(make(o), core::Error);
  }
}

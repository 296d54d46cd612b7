// Strategies against their papers' formulas in double, hand-made numbers, and each other where they must agree.
#include "federated/strategy.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <doctest/doctest.h>

#include "core/error.h"

using namespace starling;
using namespace starling::federated;

namespace {

std::shared_ptr<core::ParameterLayout> layout_of(std::int64_t size) {
  auto layout = std::make_shared<core::ParameterLayout>();
  layout->add("w", {size}, {});
  return layout;
}

struct Client {
  std::int64_t id;
  double examples;
  std::int64_t steps;
  std::vector<float> model;
  std::vector<float> control = {};
  double loss = 0, normaliser = 0;
};

StrategyOptions options(const std::string& name) {
  StrategyOptions o;
  o.name = name;
  o.client_learning_rate = 0.1;
  o.clients = 10;
  o.hostile = 1;
  o.buffer = 7;
  return o;
}

Outcome round_of(Strategy& s, std::vector<float>& x, const std::vector<Client>& clients) {
  s.begin(x);
  for (const Client& c : clients) {
    Reply r;
    r.client = c.id;
    r.examples = c.examples;
    r.steps = c.steps;
    r.model = c.model;
    r.control = c.control;
    r.loss_at_start = c.loss;
    r.normaliser = c.normaliser > 0 ? c.normaliser : static_cast<double>(c.steps);
    s.add(r);
  }
  return s.finish(x);
}

std::vector<Client> scripted(unsigned seed, std::size_t size, bool equal = false) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<Client> clients;
  for (int k = 0; k < 7; ++k) {
    Client c{k + 3, equal ? 50.0 : 10.0 + 13 * k, equal ? 5 : 2 + k, std::vector<float>(size), std::vector<float>(size), 0.5 + 0.3 * k, 0};
    for (float& v : c.model) v = normal(random);
    for (float& v : c.control) v = 0.1f * normal(random);
    clients.push_back(c);
  }
  return clients;
}

}  // namespace

TEST_CASE("five scripted rounds of seven clients follow the papers' formulas") {
  constexpr std::size_t kSize = 40;
  for (const std::string name : {"fedavg", "fedprox", "fedavgm", "fedadagrad", "fedadam", "fedyogi", "scaffold", "fednova", "q-fedavg"}) {
    CAPTURE(name);
    StrategyOptions o = options(name);
    o.server_momentum = 0.9;
    o.server_learning_rate = name == "scaffold" || name == "fednova" || name == "q-fedavg" ? 0 : 0.5;
    const auto strategy = make_strategy(o, layout_of(kSize));
    std::vector<float> x(kSize, 0.25f);
    std::vector<double> y(kSize, 0.25), m(kSize), v(kSize), c(kSize);
    for (unsigned round = 0; round < 5; ++round) {
      const auto clients = scripted(round, kSize);
      CHECK(round_of(*strategy, x, clients).changed);
      double n = 0, steps = 0, curvature = 0;
      for (const Client& k : clients) {
        n += k.examples;
        double squares = 0;
        for (std::size_t i = 0; i < kSize; ++i) squares += std::pow((y[i] - static_cast<double>(k.model[i])) / 0.1, 2);
        const double f = k.loss + 1e-10;
        curvature += 0.1 * std::pow(f, 0.1 - 1) * squares + 10 * std::pow(f, 0.1);
      }
      for (const Client& k : clients) steps += k.examples / n * static_cast<double>(k.steps);
      for (std::size_t i = 0; i < kSize; ++i) {
        double mean = 0, plain = 0, nova = 0, fair = 0, control = 0;
        for (const Client& k : clients) {
          const double d = static_cast<double>(k.model[i]) - y[i];
          mean += k.examples / n * d;
          plain += d / 7;
          nova += k.examples / n * d / static_cast<double>(k.steps);
          fair += std::pow(k.loss + 1e-10, 0.1) * d / 0.1;
          control += static_cast<double>(k.control[i]);
        }
        if (name == "fedavg" || name == "fedprox") y[i] += 0.5 * mean;
        if (name == "fedavgm") y[i] += 0.5 * (m[i] = 0.9 * m[i] + mean);
        if (name == "scaffold") y[i] += plain;
        if (name == "fednova") y[i] += steps * nova;
        if (name == "q-fedavg") y[i] += fair / curvature;
        c[i] += control / 10;
        if (name == "fedadagrad" || name == "fedadam" || name == "fedyogi") {
          const double b1 = name == "fedadagrad" ? 0 : 0.9;
          m[i] = b1 * m[i] + (1 - b1) * mean;
          const double d2 = mean * mean;
          if (name == "fedadagrad") v[i] += d2;
          if (name == "fedadam") v[i] = 0.99 * v[i] + 0.01 * d2;
          if (name == "fedyogi") v[i] -= 0.01 * d2 * ((v[i] > d2) - (v[i] < d2));
          y[i] += 0.5 * m[i] / (std::sqrt(v[i]) + 1e-3);
        }
        CHECK(static_cast<double>(x[i]) == doctest::Approx(y[i]).epsilon(2e-6).scale(1.0));
        if (name == "scaffold") CHECK(static_cast<double>(strategy->control()[i]) == doctest::Approx(c[i]).epsilon(1e-6).scale(1.0));
      }
    }
  }
}

TEST_CASE("order of arrival changes no bit of any strategy") {
  constexpr std::size_t kSize = 25;
  for (const std::string_view name : strategy_names()) {
    CAPTURE(name);
    const auto strategy_of = [&] { return make_strategy(options(std::string(name)), layout_of(kSize)); };
    auto clients = scripted(4, kSize);
    std::vector<float> first(kSize, 0.5f);
    round_of(*strategy_of(), first, clients);
    std::mt19937 random(8);
    for (int i = 0; i < 10; ++i) {
      std::shuffle(clients.begin(), clients.end(), random);
      std::vector<float> x(kSize, 0.5f);
      CHECK(round_of(*strategy_of(), x, clients).changed);
      CHECK(x == first);
    }
  }
}

TEST_CASE("variants whose extra does nothing equal FedAvg bit for bit") {
  constexpr std::size_t kSize = 30;
  const auto clients = scripted(6, kSize, true);
  const auto result = [&](StrategyOptions o) {
    const auto strategy = make_strategy(o, layout_of(kSize));
    std::vector<float> x(kSize, 0.125f);
    CHECK(round_of(*strategy, x, clients).changed);
    return x;
  };
  const auto fedavg = result(options("fedavg"));
  for (const char* name : {"fedprox", "fedavgm", "scaffold", "fedbuff", "fedbn"}) {
    CAPTURE(name);
    CHECK(result(options(name)) == fedavg);
  }
  for (const char* name : {"fednova", "q-fedavg"}) {
    CAPTURE(name);
    StrategyOptions o = options(name);
    o.q = 0;
    const auto x = result(o);
    for (std::size_t i = 0; i < kSize; ++i) CHECK(std::abs(x[i] - fedavg[i]) <= std::abs(fedavg[i]) * 0x1p-23f);
  }
}

TEST_CASE("one client's model becomes the global model, to the last bit") {
  std::vector<float> y(1000);
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = std::sin(static_cast<float>(i)) * std::ldexp(1.0f, -static_cast<int>(i % 20));
  std::vector<float> x(y.size(), 0.3f);
  round_of(*make_strategy(options("fedavg"), layout_of(1000)), x, {{5, 600, 3, y}});
  CHECK(x == y);
}

TEST_CASE("one step of FedAdagrad, FedAdam and FedYogi on (1, -2, 0)") {
  const auto step = [](const std::string& name, const std::string& correction) {
    StrategyOptions o = options(name);
    o.server_learning_rate = 0.1;
    o.bias_correction = correction;
    std::vector<float> x{0, 0, 0};
    round_of(*make_strategy(o, layout_of(3)), x, {{1, 10, 1, {1, -2, 0}}});
    return x;
  };
  const auto close = [](const std::vector<float>& x, double first, double second) {
    CHECK(x[0] == doctest::Approx(first));
    CHECK(x[1] == doctest::Approx(second));
    CHECK(x[2] == 0);
  };
  close(step("fedadagrad", "none"), 0.1 * 1 / 1.001, -0.1 * 2 / 2.001);
  close(step("fedadam", "none"), 0.1 * 0.1 / 0.101, -0.1 * 0.2 / 0.201);
  close(step("fedyogi", "none"), 0.1 * 0.1 / 0.101, -0.1 * 0.2 / 0.201);
  const double adam = std::sqrt(0.01) / 0.1, flower = std::sqrt(1 - 0.99 * 0.99) / (1 - 0.81);
  close(step("fedadam", "adam"), adam * 0.1 * 0.1 / 0.101, -adam * 0.1 * 0.2 / 0.201);
  close(step("fedadam", "flower"), flower * 0.1 * 0.1 / 0.101, -flower * 0.1 * 0.2 / 0.201);
}

TEST_CASE("FedNova removes the bias of unequal work, SCAFFOLD that of unequal clients") {
  // F_k(w) = (w - a_k)^2 / 2 with a = (0, 1, 3), equal data, 1, 10 and 50 steps: the optimum is 4/3.
  const auto converged = [](const std::string& name, double rate) {
    const std::vector<double> a{0, 1, 3}, steps{1, 10, 50};
    StrategyOptions o = options(name);
    o.client_learning_rate = rate;
    const auto strategy = make_strategy(o, layout_of(1));
    std::vector<float> x{0};
    for (int round = 0; round < 4000; ++round) {
      std::vector<Client> clients;
      for (std::size_t k = 0; k < 3; ++k) {
        double w = static_cast<double>(x[0]);
        for (int s = 0; s < steps[k]; ++s) w -= rate * (w - a[k]);
        clients.push_back({static_cast<std::int64_t>(k), 100, static_cast<std::int64_t>(steps[k]), {static_cast<float>(w)}});
      }
      round_of(*strategy, x, clients);
    }
    return static_cast<double>(x[0]) - 4.0 / 3;
  };
  CHECK(std::abs(converged("fednova", 0.01) - -0.12214) < 1e-4);
  CHECK(std::abs(converged("fedavg", 0.01) - 1.22474) < 1e-4);
  CHECK(std::abs(converged("fednova", 0.005) - -0.06331) < 1e-4);
  CHECK(std::abs(converged("fedavg", 0.005) - 1.25742) < 1e-4);
  CHECK(std::abs(converged("fednova", 0.001) - -0.01302) < 1e-4);
  CHECK(std::abs(converged("fedavg", 0.001) - 1.28323) < 1e-4);
  // F_k(w) = h_k (w - a_k)^2 / 2, h = (1, 10), a = (0, 1), ten steps of 0.05: the optimum is 10/11.
  const auto distance = [](const std::string& name, int rounds) {
    StrategyOptions o = options(name);
    o.clients = 2;
    const auto strategy = make_strategy(o, layout_of(1));
    std::vector<float> x{0};
    std::vector<double> own{0, 0};
    const double h[2] = {1, 10}, a[2] = {0, 1};
    for (int round = 0; round < rounds; ++round) {
      const double c = strategy->control().empty() ? 0 : static_cast<double>(strategy->control()[0]);
      std::vector<Client> clients;
      for (std::size_t k = 0; k < 2; ++k) {
        double w = static_cast<double>(x[0]);
        const double correction = name == "scaffold" ? c - own[k] : 0;
        for (int s = 0; s < 10; ++s) w -= 0.05 * (h[k] * (w - a[k]) + correction);
        const double fresh = own[k] - c + (static_cast<double>(x[0]) - w) / (10 * 0.05);
        clients.push_back({static_cast<std::int64_t>(k), 1, 10, {static_cast<float>(w)}, {static_cast<float>(fresh - own[k])}});
        own[k] = fresh;
      }
      round_of(*strategy, x, clients);
    }
    return std::abs(static_cast<double>(x[0]) - 10.0 / 11);
  };
  CHECK(distance("scaffold", 10) == doctest::Approx(6.99e-4).epsilon(0.01));
  CHECK(distance("scaffold", 60) < 1e-6);  // of a model in F32
  CHECK(distance("fedavg", 200) == doctest::Approx(0.19565).epsilon(1e-3));
}

TEST_CASE("FedBuff waits for its buffer and discounts old updates") {
  StrategyOptions o = options("fedbuff");
  o.buffer = 2;
  const auto strategy = make_strategy(o, layout_of(1));
  std::vector<float> x{1};
  strategy->begin(x);
  const auto add = [&](std::int64_t client, float model, std::int64_t staleness, std::vector<float> start) {
    Reply r;
    r.client = client;
    r.examples = 10;
    r.staleness = staleness;
    const std::vector<float> y{model};
    r.model = y;
    r.start = start;
    strategy->add(r);
    return strategy->finish(x);
  };
  CHECK(!add(1, 2, 0, {}).changed);
  CHECK(x[0] == 1);
  // A move of 1 that is fresh and one of 4 that is three versions old: (1 + 4 / 2) / 2.
  const Outcome outcome = add(2, 4, 3, {0});
  CHECK(outcome.changed);
  CHECK(outcome.metrics.at("staleness") == 1.5);
  CHECK(x[0] == doctest::Approx(2.5));
  CHECK(!add(1, 3, 0, {}).changed);
  CHECK_THROWS_AS(add(4, 3, 2, {}), core::Error);
}

TEST_CASE("a strategy goes on from its kept state as if it had never stopped") {
  constexpr std::size_t kSize = 12;
  for (const std::string_view name : strategy_names()) {
    CAPTURE(name);
    StrategyOptions o = options(std::string(name));
    o.server_momentum = 0.9;
    o.bias_correction = "adam";
    const auto first = make_strategy(o, layout_of(kSize)), second = make_strategy(o, layout_of(kSize));
    std::vector<float> x(kSize, 0.2f);
    for (unsigned round = 0; round < 3; ++round) round_of(*first, x, scripted(round, kSize));
    std::vector<float> y = x;
    const auto kept = first->state();
    const auto restored = second->state();
    REQUIRE(kept.size() == restored.size());
    for (std::size_t i = 0; i < kept.size(); ++i) *restored[i].second = *kept[i].second;
    round_of(*first, x, scripted(9, kSize));
    round_of(*second, y, scripted(9, kSize));
    CHECK(x == y);
  }
}

TEST_CASE("statistics are averaged plainly, and stay home with FedBN") {
  auto layout = std::make_shared<core::ParameterLayout>();
  layout->add("w", {1}, {});
  layout->add("bn.weight", {1}, {}, core::Part::norm);
  layout->add("bn.running_var", {1}, {}, core::Part::statistic);
  const auto result = [&](const std::string& name) {
    StrategyOptions o = options(name);
    o.server_learning_rate = 0.5;
    std::vector<float> x{0, 0, 0};
    round_of(*make_strategy(o, layout), x, {{1, 30, 1, {1, 1, 4}}, {2, 10, 1, {1, 1, 8}}});
    return x;
  };
  CHECK(result("fedavg") == std::vector<float>{0.5f, 0.5f, 5});
  CHECK(result("fedadam")[2] == 5);
  CHECK(result("fedbn") == std::vector<float>{0.5f, 0, 0});
}

TEST_CASE("robust rules keep the model when too few answer, and bear hostile ones") {
  StrategyOptions o = options("bulyan");
  std::vector<float> x{1, 2};
  const Outcome outcome = round_of(*make_strategy(o, layout_of(2)), x, {{1, 1, 1, {5, 5}}, {2, 1, 1, {6, 6}}});
  CHECK(!outcome.changed);
  CHECK(outcome.why.find("expected at least 7") != std::string::npos);
  CHECK(x == std::vector<float>{1, 2});
  for (const char* name : {"median", "trimmed-mean", "krum", "multi-krum", "bulyan"}) {
    CAPTURE(name);
    auto clients = scripted(2, 2);
    clients[4].model = {5e4f, -5e4f};
    std::vector<float> y{0, 0};
    CHECK(round_of(*make_strategy(options(name), layout_of(2)), y, clients).changed);
    CHECK(std::abs(y[0]) < 5);
    CHECK(std::abs(y[1]) < 5);
  }
}

TEST_CASE("settings that make no sense are refused by name, and bad replies leave the round whole") {
  const auto said = [](StrategyOptions o) {
    try {
      make_strategy(o, layout_of(2));
    } catch (const core::Error& error) {
      CHECK(error.kind() == core::Kind::usage);
      return std::string(error.what());
    }
    return std::string();
  };
  StrategyOptions o = options("fedawg");
  CHECK(said(o).find("known: fedavg fedprox") != std::string::npos);
  o = options("fedprox");
  o.proximal = -1;
  CHECK(said(o).find("strategy fedprox: proximal = -1") != std::string::npos);
  o = options("q-fedavg");
  o.client_learning_rate = 0;
  CHECK(said(o).find("learning_rate") != std::string::npos);
  o = options("scaffold");
  o.clients = 0;
  CHECK(said(o).find("clients") != std::string::npos);
  o = options("fedbuff");
  o.staleness = "young";
  CHECK(said(o).find("staleness = 'young'") != std::string::npos);
  for (const std::string_view name : strategy_names()) {
    CAPTURE(name);
    const auto strategy = make_strategy(options(std::string(name)), layout_of(2));
    std::vector<float> x{0, 0};
    strategy->begin(x);
    const std::vector<float> wrong{1, 2, 3}, control{0, 0};
    Reply r;
    r.examples = 1;
    r.steps = 1;
    r.normaliser = 1;
    r.model = wrong;
    r.control = control;
    CHECK_THROWS_AS(strategy->add(r), core::Error);
  }
}

// Hostile clients: each attack against its formula, and what the rules make of them.
#include "federated/attack.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include <doctest/doctest.h>

#include "core/error.h"
#include "federated/robust.h"
#include "federated/server.h"

using namespace starling;
using namespace starling::federated;

namespace {

AttackOptions options(const std::string& kind, double clients, double scale = 0, double inflation = 1) {
  AttackOptions o;
  o.kind = kind;
  o.clients = clients;
  o.scale = scale;
  o.inflation = inflation;
  return o;
}

std::vector<std::span<const float>> spans(const std::vector<std::vector<float>>& models) { return {models.begin(), models.end()}; }

/// What a hostile client that made `y` of `x` sends.
LocalResult sent(const AttackOptions& o, const std::vector<float>& x, const std::vector<float>& y, const Seen& seen = {}, std::int64_t round = 1) {
  const Attack attack(o, 10);
  LocalResult r;
  r.model = y;
  r.examples = 30;
  attack.apply(attack.hostile_clients().front(), round, x, r, seen);
  return r;
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

std::vector<float> mean(const std::vector<std::vector<float>>& models) {
  std::vector<float> result(models.front().size());
  for (std::size_t i = 0; i < result.size(); ++i) {
    double sum = 0;
    for (const auto& m : models) sum += static_cast<double>(m[i]);
    result[i] = static_cast<float>(sum / static_cast<double>(models.size()));
  }
  return result;
}

}  // namespace

TEST_CASE("so many clients are hostile as asked for, others for another seed") {
  CHECK(Attack(options("zero", 0), 20).hostile_clients().empty());
  CHECK(Attack(options("zero", 0.2), 20).hostile_clients().size() == 4);
  CHECK(Attack(options("zero", 4), 20).hostile_clients().size() == 4);
  CHECK(Attack(options("zero", 20), 20).hostile_clients().size() == 20);
  CHECK(Attack(options("zero", 0.25), 10'000'000).hostile_clients().size() == 2'500'000);
  std::vector<int> times(20);
  for (std::uint64_t seed = 0; seed < 5000; ++seed) {
    AttackOptions o = options("zero", 4);
    o.seed = seed;
    const Attack attack(o, 20);
    int hostile = 0;
    for (std::int64_t k = 0; k < 20; ++k)
      if (attack.hostile(k)) {
        ++hostile;
        ++times[static_cast<std::size_t>(k)];
      }
    CHECK(hostile == 4);
  }
  for (const int t : times) CHECK(std::abs(t - 1000) < 130);  // four and a half deviations
  CHECK_THROWS_WITH_AS(Attack(options("sing-flip", 1), 5), doctest::Contains("known: none sign-flip"), core::Error);
  CHECK_THROWS_AS(Attack(options("zero", 6), 5), core::Error);
  CHECK_THROWS_AS(Attack(options("zero", 1.5), 5), core::Error);
  CHECK_THROWS_WITH_AS(Attack(options("zero", 1, 3), 5), doctest::Contains("zero has no use for scale = 3"), core::Error);
  CHECK_THROWS_AS(Attack(options("alie", 1, -1), 5), core::Error);
}

TEST_CASE("attacks send what their formulas say, and honest clients what they would") {
  const std::vector<float> x{1, -2, 0.5f}, y{1.5f, -2.25f, 0.5f};  // d = 0.5, -0.25, 0
  using Model = std::vector<float>;
  CHECK(sent(options("none", 1), x, y).model == y);
  CHECK(sent(options("sign-flip", 1), x, y).model == Model{0.5f, -1.75f, 0.5f});
  CHECK(sent(options("sign-flip", 1, 4), x, y).model == Model{-1, -1, 0.5f});
  CHECK(sent(options("scaled", 1), x, y).model == Model{6, -4.5f, 0.5f});
  CHECK(sent(options("same-value", 1, 0.25), x, y).model == Model{1.25f, -1.75f, 0.75f});
  CHECK(sent(options("zero", 1), x, y).model == x);
  CHECK(sent(options("label-flip", 1), x, y).model == y);
  CHECK(sent(options("shape", 1), x, y).model == Model{1.5f, -2.25f});
  CHECK(std::isnan(sent(options("nan", 1), x, y).model.front()));
  CHECK(sent(options("none", 1, 0, 1000), x, y).examples == 30'000);
  CHECK(sent(options("zero", 1), x, y).examples == 30);
  const Attack one(options("sign-flip", 1, 4, 10), 10);
  TaskReply reply;
  reply.client = one.hostile_clients().front();
  reply.examples = 30;
  reply.model = y;
  one.apply(1, x, reply);
  CHECK(reply.model == Model{-1, -1, 0.5f});
  CHECK(reply.examples == 300);
  // Models 2, 4, 6 and 4 by value: mean 4, deviation sqrt(2). IPM: x - s (mean - x).
  const std::vector<Model> honest{{2, 2, 2}, {4, 4, 4}, {6, 6, 6}, {4, 4, 4}};
  const auto models = spans(honest);
  const Seen seen{models, 5, 1};
  for (const float v : sent(options("alie", 1, 1.5), x, y, seen).model) CHECK(v == doctest::Approx(4 - 1.5 * std::sqrt(2.0)));
  CHECK(sent(options("ipm", 1), x, y, seen).model == Model{-0.5f, -5, -1.25f});
  CHECK(sent(options("ipm", 1, 10), x, y, seen).model == Model{-29, -62, -34.5f});
  for (const char* kind : {"ipm", "alie", "gauss"}) CHECK(sent(options(kind, 1, 10), x, y).model == y);  // of a round without honest replies
  for (const std::string_view kind : attack_kinds()) {
    const Attack attack(options(std::string(kind), 3), 10);
    CHECK(attack.needs_seen() == (kind == "alie" || kind == "ipm" || kind == "gauss"));
    for (std::int64_t k = 0; k < 10; ++k) {
      LocalResult r;
      r.model = y;
      r.examples = 30;
      if (attack.hostile(k)) continue;
      attack.apply(k, 1, x, r, {});
      CHECK(r.model == y);
      CHECK(r.examples == 30);
    }
  }
}

TEST_CASE("ALIE goes as far as honest updates hide it") {
  CHECK(alie_deviations(50, 24) == doctest::Approx(1.4261).epsilon(1e-4));  // quantile of 24 / 26, the example of the paper
  CHECK(alie_deviations(20, 4) == doctest::Approx(0.15731).epsilon(1e-4));  // of 9 / 16
  CHECK(alie_deviations(4, 1) == 0);                                        // of 1 / 3: nobody to hide behind
  CHECK(alie_deviations(20, 11) == 3);
  CHECK_THROWS_AS(alie_deviations(20, 0), core::Error);
  const std::vector<std::vector<float>> honest{{1}, {3}};
  const auto models = spans(honest);
  CHECK(sent(options("alie", 1), {0}, {2}, {models, 50, 24}).model.front() == doctest::Approx(2 - 1.4261).epsilon(1e-4));
}

TEST_CASE("Gaussian noise has ten times the honest deviation, and its own place in every round") {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  const std::size_t size = 40'000;
  std::vector<std::vector<float>> honest(16, std::vector<float>(size));
  for (auto& m : honest)
    for (float& v : m) v = 0.01f * normal(random);
  const auto models = spans(honest);
  const std::vector<float> x(size, 1), first = sent(options("gauss", 1), x, x, {models, 20, 4}).model;
  double sum = 0, squares = 0;
  for (const float v : first) {
    sum += static_cast<double>(v) - 1;
    squares += (static_cast<double>(v) - 1) * (static_cast<double>(v) - 1);
  }
  CHECK(std::abs(sum / static_cast<double>(size)) < 0.002);
  CHECK(std::sqrt(squares / static_cast<double>(size)) == doctest::Approx(10 * 0.01 * std::sqrt(15.0 / 16)).epsilon(0.02));
  CHECK(first == sent(options("gauss", 1), x, x, {models, 20, 4}).model);
  CHECK(first != sent(options("gauss", 1), x, x, {models, 20, 4}, 2).model);
}

TEST_CASE("label flip turns the labels of hostile clients alone") {
  Examples data;
  data.count = 100;
  data.values_each = 1;
  data.values.resize(100);
  core::Partition parts(10);
  for (std::int32_t i = 0; i < 100; ++i) {
    data.labels.push_back(i % 10);
    parts[static_cast<std::size_t>(i / 10)].push_back(static_cast<std::uint32_t>(i));
  }
  Examples turned = data;
  const Attack attack(options("label-flip", 3), 10);
  attack.poison(parts, 10, turned);
  for (std::size_t i = 0; i < 100; ++i)
    CHECK(turned.labels[i] == (attack.hostile(static_cast<std::int64_t>(i / 10)) ? 9 - data.labels[i] : data.labels[i]));
  attack.poison(parts, 10, turned);
  CHECK(turned.labels == data.labels);
  Attack(options("sign-flip", 3), 10).poison(parts, 10, turned);
  CHECK(turned.labels == data.labels);
}

TEST_CASE("four of twenty turn the mean around, and not the robust rules") {
  constexpr std::size_t kClients = 20, kHostile = 4;
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  const std::vector<float> x(500, 0);
  std::vector<float> way(x.size());
  for (float& v : way) v = normal(random);
  std::vector<std::vector<float>> honest(kClients, std::vector<float>(x.size()));
  for (auto& m : honest)
    for (std::size_t i = 0; i < x.size(); ++i) m[i] = way[i] + 0.3f * normal(random);
  for (const std::string kind : {"sign-flip", "ipm"}) {
    CAPTURE(kind);
    const Attack attack(options(kind, kHostile, 10), kClients);
    std::vector<std::vector<float>> others, all = honest;
    for (std::size_t k = 0; k < kClients; ++k)
      if (!attack.hostile(static_cast<std::int64_t>(k))) others.push_back(honest[k]);
    const auto models = spans(others);
    for (std::size_t k = 0; k < kClients; ++k) {
      LocalResult r;
      r.model = honest[k];
      attack.apply(static_cast<std::int64_t>(k), 1, x, r, {models, kClients, kHostile});
      all[k] = r.model;
    }
    // (16 - 4 * 10) / 20 of the way.
    const double plain = dot(mean(all), way) / dot(way, way);
    CHECK(plain == doctest::Approx(-1.2).epsilon(0.03));
    const auto updates = spans(all);
    CHECK(dot(median(updates), way) / dot(way, way) > 0.8);
    CHECK(dot(trimmed_mean(updates, 0.2), way) / dot(way, way) > 0.8);
    CHECK(dot(bulyan(updates, kHostile, BulyanSelection::iterative), way) / dot(way, way) > 0.9);
    const auto chosen = krum_select(updates, kHostile, kClients - kHostile - 2);
    for (const std::size_t k : chosen) CHECK_FALSE(attack.hostile(static_cast<std::int64_t>(k)));
  }
}

TEST_CASE("replies that are no models are counted, every one, and the run completes") {
  struct Everybody final : Population {
    std::int64_t size() const override { return 20; }
    bool available(std::int64_t, Seconds) const override { return true; }
    std::optional<Seconds> next_change(Seconds) const override { return std::nullopt; }
  } everybody;
  for (const auto& [kind, reason] : {std::pair<std::string, std::string>{"nan", "nonfinite"}, {"shape", "shape"}}) {
    CAPTURE(kind);
    core::ModelOptions shape;
    shape.name = "logistic";
    shape.input = {6};
    shape.classes = 3;
    const auto model = core::make_model(shape);
    const std::vector<float> start(static_cast<std::size_t>(model->layout()->size()), 0.5f);
    RoundsPolicy policy;
    policy.rounds = 5;
    StrategyOptions strategy;
    strategy.name = "median";
    Server server(policy, make_strategy(strategy, model->layout()), start, everybody);
    const Attack attack(options(kind, 4), everybody.size());
    Actions actions = server.start(0);
    bool completed = false;
    std::int64_t rounds = 0;
    for (double now = 1; !actions.empty(); ++now) {
      Actions next;
      for (const Action& action : actions) {
        if (const auto* a = std::get_if<Assign>(&action)) {
          TaskReply reply;
          reply.task = a->task;
          reply.client = a->client;
          reply.examples = 10;
          reply.model = *a->model;
          attack.apply(a->round, *a->model, reply);
          for (Action& made : server.reply(std::move(reply), now)) next.push_back(std::move(made));
        } else if (const auto* done = std::get_if<RoundDone>(&action)) {
          ++rounds;
          CHECK(done->record.used == 16);
          CHECK(done->record.refused == std::map<std::string, std::int64_t>{{reason, 4}});
          CHECK(*done->model == start);
        } else if (const auto* finished = std::get_if<Finished>(&action)) {
          completed = finished->completed;
        }
      }
      for (Action& made : server.settle(now)) next.push_back(std::move(made));
      actions = std::move(next);
    }
    CHECK(completed);
    CHECK(rounds == 5);
  }
}

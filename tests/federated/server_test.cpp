// The server's state machine, driven by hand: rounds, deadlines, quorums, over-selection, failures, the guard, buffers.
#include "federated/server.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

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

/// Clients who come at a time of their own and stay.
struct Arrivals final : Population {
  explicit Arrivals(std::vector<Seconds> times) : from(std::move(times)) {}
  Arrivals(std::int64_t count, Seconds at) : from(static_cast<std::size_t>(count), at) {}
  std::int64_t size() const override { return static_cast<std::int64_t>(from.size()); }
  bool available(std::int64_t client, Seconds now) const override { return from[static_cast<std::size_t>(client)] <= now; }
  std::optional<Seconds> next_change(Seconds now) const override {
    std::optional<Seconds> next;
    for (const Seconds t : from)
      if (t > now && (!next || t < *next)) next = t;
    return next;
  }
  std::vector<Seconds> from;
};

template <class T>
std::vector<T> all(const Actions& actions) {
  std::vector<T> found;
  for (const Action& a : actions)
    if (const T* one = std::get_if<T>(&a)) found.push_back(*one);
  return found;
}

std::unique_ptr<Strategy> fedavg(std::int64_t size = 1) { return make_strategy({}, layout_of(size)); }

TaskReply answer(const Assign& a, std::vector<float> model, double examples = 1) {
  TaskReply r;
  r.task = a.task;
  r.client = a.client;
  r.examples = examples;
  r.steps = 1;
  r.normaliser = 1;
  r.model = std::move(model);
  return r;
}

RoundsPolicy policy(std::int64_t rounds) {
  RoundsPolicy p;
  p.rounds = rounds;
  return p;
}

}  // namespace

TEST_CASE("a synchronous round asks, waits for all, moves, acknowledges, and the next begins when events are settled") {
  const Arrivals clients(4, 0);
  RoundsPolicy p = policy(2);
  p.fraction = 0.5;
  Server server(p, fedavg(), {0}, clients);
  auto tasks = all<Assign>(server.start(0));
  REQUIRE(tasks.size() == 2);
  CHECK(tasks[0].client != tasks[1].client);
  CHECK((*tasks[0].model)[0] == 0);
  CHECK(all<Commit>(server.reply(answer(tasks[0], {1}), 5)).size() == 1);
  CHECK(server.settle(5).empty());
  const Actions done = server.reply(answer(tasks[1], {3}, 3), 7);
  REQUIRE(all<RoundDone>(done).size() == 1);
  const RoundRecord record = all<RoundDone>(done)[0].record;
  CHECK(record.round == 1);
  CHECK(record.used == 2);
  CHECK(record.ended == 7);
  CHECK((*server.model())[0] == 2.5f);
  tasks = all<Assign>(server.settle(7));
  REQUIRE(tasks.size() == 2);
  CHECK(tasks[0].round == 2);
  CHECK((*tasks[0].model)[0] == 2.5f);
  server.reply(answer(tasks[0], {1}), 8);
  const Actions last = server.reply(answer(tasks[1], {1}), 9);
  CHECK(all<Finished>(last).at(0).completed);
  CHECK(server.finished());
}

TEST_CASE("the sample depends on seed and round alone, and everybody has a turn") {
  const Arrivals clients(20, 0);
  std::vector<int> turns(20);
  std::vector<std::int64_t> first;
  for (int run = 0; run < 2; ++run) {
    RoundsPolicy p = policy(200);
    p.fraction = 0.25;
    Server server(p, fedavg(), {0}, clients);
    std::vector<std::int64_t> order;
    Actions actions = server.start(0);
    while (!server.finished()) {
      auto tasks = all<Assign>(actions);
      if (run == 1) std::reverse(tasks.begin(), tasks.end());
      std::set<std::int64_t> distinct;
      for (const Assign& a : tasks) {
        distinct.insert(a.client);
        if (run == 0) ++turns[static_cast<std::size_t>(a.client)];
        server.reply(answer(a, {1}), 1);
      }
      CHECK(distinct.size() == 5);
      order.insert(order.end(), distinct.begin(), distinct.end());
      actions = server.settle(1);
    }
    if (run == 0)
      first = order;
    else
      CHECK(order == first);
  }
  for (const int n : turns) CHECK(std::abs(n - 50) < 30);
}

TEST_CASE("deadline, quorum and over-selection end a round with what is there, and late answers count as late") {
  const Arrivals clients(10, 0);
  SUBCASE("deadline") {
    RoundsPolicy p = policy(2);
    p.deadline = 30;
    Server server(p, fedavg(), {0}, clients);
    const Actions begun = server.start(0);
    const auto tasks = all<Assign>(begun);
    REQUIRE(all<SetTimer>(begun).size() == 1);
    CHECK(all<SetTimer>(begun)[0].at == 30);
    for (int i = 0; i < 3; ++i) server.reply(answer(tasks[static_cast<std::size_t>(i)], {static_cast<float>(i)}), 10);
    const Actions ended = server.timer(all<SetTimer>(begun)[0].timer, 30);
    CHECK(all<RoundDone>(ended).at(0).record.used == 3);
    CHECK(all<RoundDone>(ended).at(0).record.late == 7);
    CHECK(all<Release>(ended).size() == 7);
    CHECK((*server.model())[0] == 1);
    const auto next = all<Assign>(server.settle(30));
    CHECK(next.size() == 10);
    CHECK(all<Release>(server.reply(answer(tasks[5], {100}), 31)).size() == 1);  // of round 1
    Actions last;
    for (const Assign& a : next) last = server.reply(answer(a, {2}), 40);
    CHECK((*server.model())[0] == 2);
    CHECK(all<RoundDone>(last).at(0).record.late == 0);
    CHECK(all<RoundDone>(last).at(0).record.refused.at("task") == 1);
  }
  SUBCASE("quorum") {
    RoundsPolicy p = policy(1);
    p.quorum = 0.75;
    Server server(p, fedavg(), {0}, clients);
    const auto tasks = all<Assign>(server.start(0));
    for (std::size_t i = 0; i < 7; ++i) CHECK(all<RoundDone>(server.reply(answer(tasks[i], {4}), 1)).empty());
    CHECK(all<RoundDone>(server.reply(answer(tasks[7], {4}), 1)).at(0).record.used == 8);
  }
  SUBCASE("over-selection") {
    RoundsPolicy p = policy(1);
    p.fraction = 0.5;
    p.over_select = 1.3;
    Server server(p, fedavg(), {0}, clients);
    const auto tasks = all<Assign>(server.start(0));
    CHECK(tasks.size() == 7);
    for (std::size_t i = 0; i < 4; ++i) server.reply(answer(tasks[i], {1}), 1);
    CHECK(all<RoundDone>(server.reply(answer(tasks[6], {1}), 1)).at(0).record.asked == 7);
  }
}

TEST_CASE("failures and too few replies leave the model, and a run gives up with a reason") {
  const Arrivals clients(3, 0);
  RoundsPolicy p = policy(100);
  p.min_replies = 2;
  p.max_failed_rounds = 3;
  Server server(p, fedavg(), {7}, clients);
  Actions actions = server.start(0);
  std::string why;
  for (int round = 0; round < 3; ++round) {
    const auto tasks = all<Assign>(actions);
    server.reply(answer(tasks[0], {1}), 1);
    server.failed(tasks[1].task, "gone", 1);
    actions = server.failed(tasks[2].task, "gone", 1);
    CHECK(!all<RoundDone>(actions).at(0).record.changed);
    CHECK(all<RoundDone>(actions).at(0).record.failed == 2);
    if (server.finished()) why = all<Finished>(actions).at(0).why;
    actions = server.settle(1);
  }
  CHECK(server.finished());
  CHECK(why.find("3 rounds in a row failed") != std::string::npos);
  CHECK((*server.model())[0] == 7);
}

TEST_CASE("a round waits for clients, and says when there will be none") {
  const Arrivals late({0, 50, 90});
  RoundsPolicy p = policy(1);
  p.min_clients = 3;
  Server server(p, fedavg(), {0}, late);
  auto timer = all<SetTimer>(server.start(0)).at(0);
  CHECK(timer.at == 50);
  timer = all<SetTimer>(server.timer(timer.timer, 50)).at(0);
  CHECK(timer.at == 90);
  CHECK(all<Assign>(server.timer(timer.timer, 90)).size() == 3);
  const Arrivals never({0, 1e300, 1e300});
  Server hopeless(p, fedavg(), {0}, never);
  const auto wait = all<SetTimer>(hopeless.start(0)).at(0);
  CHECK(wait.at == 1e300);
  RoundsPolicy four = policy(1);
  four.min_clients = 4;
  CHECK_THROWS_WITH_AS(Server(four, fedavg(), {0}, late), doctest::Contains("min_clients = 4"), core::Error);
}

TEST_CASE("every bad reply is refused by its reason, counted, and does no harm") {
  const Arrivals clients(8, 0);
  RoundsPolicy p = policy(1);
  p.norm_max = 10;
  p.examples_max = 1000;
  Server server(p, fedavg(2), {0, 0}, clients);
  const auto tasks = all<Assign>(server.start(0));
  server.reply(answer(tasks[0], {NAN, 0}), 1);
  server.reply(answer(tasks[1], {0, INFINITY}), 1);
  server.reply(answer(tasks[2], {1}), 1);
  server.reply(answer(tasks[3], {1, 1}, -5), 1);
  server.reply(answer(tasks[4], {1, 1}, 1e6), 1);
  server.reply(answer(tasks[5], {9, 9}), 1);
  TaskReply other = answer(tasks[6], {1, 1});
  other.client = tasks[0].client;
  server.reply(other, 1);
  CHECK(all<Commit>(server.reply(answer(tasks[0], {1, 1}), 1)).empty());  // its task is over
  const Actions done = server.reply(answer(tasks[7], {2, 4}), 1);
  const RoundRecord record = all<RoundDone>(done).at(0).record;
  CHECK(record.refused.at("nonfinite") == 2);
  CHECK(record.refused.at("shape") == 1);
  CHECK(record.refused.at("weight") == 2);
  CHECK(record.refused.at("norm") == 1);
  CHECK(record.refused.at("client") == 1);
  CHECK(record.used == 1);
  CHECK(*server.model() == std::vector<float>{2, 4});
}

TEST_CASE("asynchronous training keeps its concurrency, counts versions, and old models are let go") {
  const Arrivals clients(50, 0);
  RoundsPolicy p = policy(40);
  p.asynchronous = true;
  p.concurrency = 8;
  StrategyOptions o;
  o.name = "fedbuff";
  o.buffer = 3;
  Server server(p, make_strategy(o, layout_of(1)), {0}, clients);
  std::mt19937 random(4);
  std::vector<Assign> open = all<Assign>(server.start(0));
  CHECK(open.size() == 8);
  std::int64_t rounds = 0;
  Seconds now = 0;
  while (!server.finished()) {
    std::swap(open[random() % open.size()], open.back());
    const Assign task = open.back();
    open.pop_back();
    now += 1;
    const Actions actions = server.reply(answer(task, {(*task.model)[0] + 1}), now);
    for (const RoundDone& done : all<RoundDone>(actions)) {
      CHECK(done.record.round == ++rounds);
      CHECK(done.record.used == 3);
    }
    for (const Assign& a : all<Assign>(server.settle(now))) open.push_back(a);
    std::set<std::int64_t> busy;
    for (const Assign& a : open) busy.insert(a.client);
    CHECK(busy.size() == open.size());
    CHECK(server.versions_alive() <= 9);
    if (!server.finished()) CHECK(server.tasks_under_way() == 8);
  }
  CHECK(rounds == 40);
  CHECK((*server.model())[0] > 20);
  CHECK((*server.model())[0] < 40);
}

TEST_CASE("buffered rounds of equal clients are FedAvg's rounds bit for bit: the same clients, the same models") {
  const Arrivals clients(12, 0);
  const auto run = [&](bool asynchronous) {
    RoundsPolicy p = policy(6);
    p.asynchronous = asynchronous;
    p.concurrency = 4;
    p.fraction = 4.0 / 12;
    StrategyOptions o;
    o.name = asynchronous ? "fedbuff" : "fedavg";
    o.buffer = 4;
    Server server(p, make_strategy(o, layout_of(3)), {0.1f, 0.2f, 0.3f}, clients);
    Actions actions = server.start(0);
    std::vector<std::vector<float>> models;
    for (Seconds now = 1; !server.finished(); now += 1) {
      for (const Assign& a : all<Assign>(actions)) {
        std::vector<float> y = *a.model;
        for (std::size_t i = 0; i < y.size(); ++i) y[i] += 0.01f * static_cast<float>(a.client + 1) * std::sin(y[i] + static_cast<float>(i));
        server.reply(answer(a, y), now);
      }
      models.push_back(*server.model());
      actions = server.settle(now);
    }
    return models;
  };
  CHECK(run(true) == run(false));
}

TEST_CASE("a million clients cost what the round's clients cost") {
  struct Everyone final : Population {
    std::int64_t size() const override { return 15'000'000; }
    bool available(std::int64_t client, Seconds) const override { return client % 3 != 0; }
    std::optional<Seconds> next_change(Seconds) const override { return std::nullopt; }
  } everyone;
  RoundsPolicy p = policy(20);
  p.fraction = 1e-4;
  Server server(p, fedavg(), {0}, everyone);
  Actions actions = server.start(0);
  while (!server.finished()) {
    const auto tasks = all<Assign>(actions);
    CHECK(tasks.size() == 1500);
    for (const Assign& a : tasks) {
      CHECK(a.client % 3 != 0);
      server.reply(answer(a, {1}), 0);
    }
    actions = server.settle(0);
  }
  CHECK(server.tasks_under_way() == 0);
}

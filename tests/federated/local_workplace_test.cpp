// Tasks trained by the threads of this process: the same replies for any number of them, each task once, not too far ahead.
#include <algorithm>
#include <atomic>
#include <random>
#include <set>

#include <doctest/doctest.h>

#include "core/error.h"
#include "federated/workplace.h"

using namespace starling;
using namespace starling::federated;

namespace {

constexpr std::int64_t kClients = 400;

/// Examples from a formula, with a count of the tasks that have looked at them.
class Counted final : public ClientData {
 public:
  std::int64_t clients() const override { return kClients; }
  std::int64_t count(std::int64_t) const override { return 5; }
  Selection of(std::int64_t client, Room& room) const override {
    const std::int64_t ahead = ++begun - fetched;
    for (std::int64_t seen = ahead_most; ahead > seen && !ahead_most.compare_exchange_weak(seen, ahead);) {
    }
    if (client == broken) core::fail(core::Kind::malformed, "client {}: broken data", client);
    room.made.count = 5;
    room.made.values_each = 3;
    room.made.values.resize(15);
    for (std::size_t i = 0; i < 15; ++i) room.made.values[i] = static_cast<float>((client * 7 + static_cast<std::int64_t>(i) * 5) % 11) / 11;
    room.made.labels.assign({0, 1, static_cast<std::int32_t>(client % 2), 1, 0});
    room.members.assign({0, 1, 2, 3, 4});
    return {&room.made, room.members};
  }
  mutable std::atomic<std::int64_t> begun{0}, fetched{0}, ahead_most{0};
  std::int64_t broken = -1;
};

struct World {
  explicit World(int threads) {
    core::ModelOptions o;
    o.name = "logistic";
    o.input = {3};
    o.classes = 2;
    model = core::make_model(o);
    LocalWorkplaceOptions options{{}, threads};
    options.local.batch = 2;
    place = local_workplace(*model, data, states, options);
    start = std::make_shared<const std::vector<float>>(static_cast<std::size_t>(model->layout()->size()), 0.1f);
  }
  /// Task k + 1 is that of client k, those of higher numbers due first.
  void begin(std::int64_t tasks) const {
    for (std::int64_t k = 0; k < tasks; ++k) place->begin({k + 1, k, 1, start, nullptr, {}}, static_cast<double>(tasks - k));
  }
  Trained finish(TaskId task) {
    Trained trained = place->finish(task);
    ++data.fetched;
    return trained;
  }
  Counted data;
  ClientStates states;
  std::unique_ptr<core::TrainableModel> model;
  std::unique_ptr<Workplace> place;
  Vector start;
};

}  // namespace

TEST_CASE("hundreds of tiny tasks have the same replies for any number of threads and any order of asking") {
  std::vector<std::vector<float>> expected;
  for (const int threads : {1, 2, 3, 8}) {
    CAPTURE(threads);
    World world(threads);
    world.begin(kClients);
    std::vector<TaskId> order;
    for (TaskId id = 1; id <= kClients; ++id)
      if (id % 9 == 0)
        world.place->release(id);
      else
        order.push_back(id);
    std::mt19937 random(static_cast<unsigned>(threads));
    if (threads < 8)
      std::shuffle(order.begin(), order.end(), random);
    else
      std::reverse(order.begin(), order.end());  // as they are due
    std::vector<std::vector<float>> models(static_cast<std::size_t>(kClients));
    for (const TaskId id : order) {
      const Trained trained = world.finish(id);
      CHECK(trained.failure.empty());
      CHECK(trained.reply.client == id - 1);
      models[static_cast<std::size_t>(id - 1)] = trained.reply.model;
      if (id % 5 == 0) world.place->release(id);  // once more is harmless
    }
    if (expected.empty()) expected = models;
    CHECK(models == expected);
  }
}

TEST_CASE("whatever is done comes out once, and an idle place waits until the deadline") {
  for (const int threads : {1, 2, 4}) {
    CAPTURE(threads);
    World world(threads);
    CHECK_FALSE(world.place->next(Workplace::Clock::now()).has_value());
    world.begin(60);
    std::set<TaskId> seen;
    while (seen.size() < 60) {
      const auto trained = world.place->next(Workplace::Clock::time_point::max());
      REQUIRE(trained.has_value());
      CHECK(seen.insert(trained->task).second);
    }
    CHECK_FALSE(world.place->next(Workplace::Clock::now()).has_value());
  }
}

TEST_CASE("one thread trains what it is asked for and nothing else") {
  World world(1);
  world.begin(20);
  CHECK(world.finish(7).reply.client == 6);
  CHECK(world.data.begun == 1);
}

TEST_CASE("results do not pile up when nobody fetches them") {
  World world(3);
  world.begin(kClients);
  // The task due last: others are trained ahead while it is, but not all.
  for (TaskId id = 1; id <= 20; ++id) world.finish(id);
  CHECK(world.data.ahead_most <= 3 * 64 + 2);
  for (TaskId id = 21; id <= kClients; ++id) world.finish(id);
  CHECK(world.data.begun == kClients);
}

TEST_CASE("what fails for another reason than training ends the run with that reason, on any thread") {
  for (const int threads : {1, 2, 4}) {
    CAPTURE(threads);
    World world(threads);
    world.data.broken = 50;
    world.begin(100);
    const auto all = [&] {
      for (TaskId id = 1; id <= 100; ++id) world.finish(id);
    };
    CHECK_THROWS_WITH_AS(all(), "client 50: broken data", core::Error);
  }
}

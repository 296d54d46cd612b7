// Federated training under the virtual clock: the same bits for any number of threads, and times that follow the devices.
#include "sim/virtual_timeline.h"

#include <cmath>

#include <doctest/doctest.h>

#include "core/error.h"
#include "tests/temporary_folder.h"

using namespace starling;
using namespace starling::sim;

namespace {

/// Four classes around four centres, from a formula.
federated::Examples dataset(std::int64_t count, int shift, int values = 8) {
  federated::Examples data;
  data.count = count;
  data.values_each = values;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::int32_t>(i % 4);
    data.labels.push_back(label);
    for (int k = 0; k < values; ++k)
      data.values.push_back(0.7f * std::sin(static_cast<float>((i + shift) * values + k) * 1.7f) + (k % 4 == label ? 1.0f : 0.0f));
  }
  data.validate("formula");
  return data;
}

struct Result {
  federated::RunResult run;
  std::vector<federated::RoundResult> rounds;
};

struct Stopped {};

struct World {
  World() {
    core::ModelOptions o;
    o.name = "mlp";
    o.input = {8};
    o.classes = 4;
    o.width = 16;
    model = core::make_model(o);
    core::PartitionOptions p;
    p.kind = "dirichlet";
    p.alpha = 1;
    p.clients = 12;
    parts = core::partition(p, static_cast<std::size_t>(train.count), train.labels, {});
    options.rounds.rounds = 12;
    options.rounds.fraction = 0.5;
    devices.clients = 12;
    devices.profile = "lognormal";
    local.batch = 16;
    local.learning_rate = 0.1;
  }
  Result run(const federated::Journal* resumed = nullptr) const {
    const federated::PartitionedData data(train, parts);
    federated::ClientStates states(folder.empty() ? "" : folder + "/clients", resumed ? resumed->server.next_task : 1);
    const auto workplace = federated::local_workplace(*model, data, states, {local, threads});
    const Devices population(devices);
    VirtualTimeline time(population, local, [&](std::int64_t client) { return data.count(client); }, *workplace);
    federated::RunOptions o = options;
    o.strategy.clients = 12;
    o.strategy.client_learning_rate = local.learning_rate;
    o.threads = threads;
    Result result;
    federated::RunHooks hooks;
    hooks.on_round = [&](const federated::RoundResult& r) {
      result.rounds.push_back(r);
      if (r.record.round == stop_after) throw Stopped{};
    };
    try {
      result.run = federated::run(*model, test, o, population, *workplace, time, hooks, resumed);
    } catch (const Stopped&) {
    }
    return result;
  }

  federated::Examples train = dataset(600, 0), test = dataset(200, 5000);
  std::unique_ptr<core::TrainableModel> model;
  core::Partition parts;
  federated::RunOptions options;
  federated::LocalOptions local;
  DeviceOptions devices;
  int threads = 1;
  std::string folder;            // where clients' states are kept
  std::int64_t stop_after = -1;  // the run ends like a process that is killed
};

void check_equal(const Result& a, const Result& b) {
  CHECK(a.run.model == b.run.model);
  REQUIRE(a.rounds.size() == b.rounds.size());
  for (std::size_t i = 0; i < a.rounds.size(); ++i) {
    CHECK(a.rounds[i].at == b.rounds[i].at);
    CHECK(a.rounds[i].test_loss == b.rounds[i].test_loss);
    CHECK(a.rounds[i].record.used == b.rounds[i].record.used);
    CHECK(a.rounds[i].record.train_loss == b.rounds[i].record.train_loss);
    CHECK(a.rounds[i].traffic.up_wire == b.rounds[i].traffic.up_wire);
  }
}

}  // namespace

TEST_CASE("every strategy learns under the virtual clock, with the same bits for any number of threads") {
  for (const std::string_view name : federated::strategy_names()) {
    CAPTURE(name);
    World world;
    world.options.strategy.name = name;
    world.options.strategy.hostile = 0;
    world.options.strategy.buffer = 3;
    world.options.rounds.asynchronous = name == "fedbuff";
    world.options.rounds.concurrency = 4;
    world.devices.failure = 0.1;
    world.options.rounds.quorum = 0.8;
    const Result one = world.run();
    CHECK(one.run.completed);
    CHECK(one.rounds.size() == 12);
    CHECK(one.rounds.back().test_accuracy > (name == "krum" || name == "fedyogi" ? 0.3 : 0.5));
    world.threads = 3;
    check_equal(one, world.run());
  }
}

TEST_CASE("a deadline shortens the rounds and drops the slow") {
  World world;
  const Result patient = world.run();
  world.options.rounds.deadline = patient.rounds.back().at / 12 / 3;
  const Result hasty = world.run();
  CHECK(hasty.rounds.back().at <= 12 * world.options.rounds.deadline * 1.001);
  std::int64_t late = 0;
  for (const federated::RoundResult& r : hasty.rounds) late += r.record.late;
  CHECK(late > 0);
}

TEST_CASE("bytes are those of the models that travelled") {
  World world;
  world.devices.profile = "uniform";
  const Result result = world.run();
  const std::uint64_t model = 4 * static_cast<std::uint64_t>(world.model->layout()->size());
  const federated::Traffic t = result.rounds.back().traffic;
  CHECK(t.down_payload == 12 * 6 * model);
  CHECK(t.up_payload == 12 * 6 * model);
  world.options.strategy.name = "scaffold";
  CHECK(world.run().rounds.back().traffic.up_payload == 2 * 12 * 6 * model);
}

TEST_CASE("control variates take as long to travel as the model does") {
  World world;
  world.devices.profile = "uniform";
  world.devices.links.profile = "uniform";
  world.devices.links.up_mbit = world.devices.links.down_mbit = 1;
  world.devices.links.delay_ms = 0;
  world.options.rounds.rounds = 1;
  const double plain = world.run().run.at;
  world.options.strategy.name = "scaffold";
  const double model_bits = 32 * static_cast<double>(world.model->layout()->size());
  CHECK(world.run().run.at - plain == doctest::Approx(2 * model_bits / 1e6).epsilon(1e-9));
}

TEST_CASE("FedBN's bytes are less by the norm layers, in the frames as in the models") {
  World world;
  core::ModelOptions o;
  o.name = "resnet8";
  o.input = {1, 4, 4};
  o.classes = 4;
  world.model = core::make_model(o);
  world.train = dataset(600, 0, 16);
  world.test = dataset(200, 5000, 16);
  world.options.rounds.rounds = 2;
  std::uint64_t norms = 0;
  for (const core::ParameterEntry& entry : world.model->layout()->entries()) norms += entry.part == core::Part::weight ? 0 : 4 * static_cast<std::uint64_t>(entry.size);
  REQUIRE(norms > 0);
  const Result whole = world.run();
  world.options.strategy.name = "fedbn";
  const Result without = world.run();
  const federated::Traffic a = whole.rounds.back().traffic, b = without.rounds.back().traffic;
  CHECK(a.down_payload - b.down_payload == 2 * 6 * norms);
  CHECK(a.up_payload - b.up_payload == 2 * 6 * norms);
  CHECK(a.down_wire - b.down_wire == 2 * 6 * norms);
  CHECK(a.up_wire - b.up_wire == 2 * 6 * norms);
  CHECK(without.rounds.back().at < whole.rounds.back().at);
}

TEST_CASE("a run that was interrupted ends as if it had not been") {
  for (const std::string name : {"fedavg", "fedavgm", "fedadam", "scaffold", "fedbn", "fedbuff"}) {
    CAPTURE(name);
    const tests::TemporaryFolder folder;
    World world;
    world.options.strategy.name = name;
    world.options.strategy.buffer = 3;
    world.options.rounds.asynchronous = name == "fedbuff";
    world.options.rounds.concurrency = 4;
    world.devices.failure = 0.1;
    world.options.rounds.quorum = 0.8;
    const Result whole = world.run();
    REQUIRE(whole.run.completed);
    world.folder = folder / "run";
    world.options.journal = folder / "journal";
    world.stop_after = 5;
    world.run();
    const federated::Journal journal = federated::read_journal(world.options.journal);
    CHECK(journal.server.round == 5);
    world.stop_after = 9;
    world.run(&journal);
    const federated::Journal later = federated::read_journal(world.options.journal);
    CHECK(later.server.round == 9);
    world.stop_after = -1;
    const Result resumed = world.run(&later);
    CHECK(resumed.run.completed);
    CHECK(resumed.run.model == whole.run.model);
    CHECK(resumed.run.at == whole.run.at);
    CHECK(resumed.run.traffic.up_wire == whole.run.traffic.up_wire);
    CHECK(resumed.run.traffic.down_wire == whole.run.traffic.down_wire);
  }
}

TEST_CASE("devices are fast and there as their profiles say") {
  CHECK(task_seconds({30, 500e3, 500e3, 0}, {10, 20, 1000e3, 1000e3}, 0.1, 0) == doctest::Approx(22));
  DeviceOptions o;
  o.clients = 100000;
  o.profile = "groups";
  Devices groups(o);
  int slow = 0, fast = 0;
  for (std::int64_t k = 0; k < o.clients; ++k) {
    slow += groups.device(k).ms_per_example > 40 ? 1 : 0;
    fast += groups.device(k).ms_per_example < 40 ? 1 : 0;
  }
  CHECK(std::abs(slow - 25000) < 600);
  CHECK(std::abs(fast - 25000) < 600);
  o.profile = "phones";
  Devices phones(o);
  std::vector<double> speeds, links;
  double there = 0;
  for (std::int64_t k = 0; k < o.clients; ++k) {
    speeds.push_back(phones.device(k).ms_per_example);
    links.push_back(phones.device(k).down_bytes_per_s);
    there += phones.available(k, 5000) ? 1 : 0;
  }
  std::nth_element(speeds.begin(), speeds.begin() + 50000, speeds.end());
  std::nth_element(links.begin(), links.begin() + 50000, links.end());
  CHECK(speeds[50000] == doctest::Approx(40).epsilon(0.02));
  CHECK(links[50000] == doctest::Approx(600e3).epsilon(0.02));
  CHECK(there / 100000 == doctest::Approx(0.05 + 0.35 / 4).epsilon(0.05));  // the mean of max(0, sin)^2 is 1/4
  CHECK(phones.available(3, 5000) == phones.available(3, 5000 + 100));
  CHECK(*phones.next_change(5000) == 5400);
  o.profile = "fones";
  CHECK_THROWS_WITH_AS(Devices{o}, doctest::Contains("known: uniform groups"), core::Error);
}

// Tasks trained on nodes have the bits of those trained here; bytes are counted as they travel; a node that is gone
// takes its tasks with it and nobody else's.
#include "federated/remote_workplace.h"

#include <cmath>
#include <thread>

#include <doctest/doctest.h>

#include "comm/connect.h"
#include "comm/heartbeat.h"
#include "comm/job.h"
#include "core/error.h"
#include "federated/client_service.h"
#include "federated/traffic.h"
#include "tests/temporary_folder.h"

using namespace starling;
using namespace starling::federated;

namespace {

Examples dataset(std::int64_t count, std::int64_t values) {
  Examples data;
  data.count = count;
  data.values_each = values;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::int32_t>(i % 3);
    data.labels.push_back(label);
    for (std::int64_t k = 0; k < values; ++k) data.values.push_back(std::sin(static_cast<float>(i * values + k)) + (k % 3 == label ? 1.0f : 0.0f));
  }
  return data;
}

class Side final : public ClientSide {
 public:
  /// A model of 21 values, or one with norm layers.
  explicit Side(bool norms = false) : data_(dataset(90, norms ? 64 : 6)) {
    core::ModelOptions o;
    o.name = norms ? "resnet8" : "logistic";
    o.input = norms ? core::Shape{1, 8, 8} : core::Shape{6};
    o.classes = 3;
    model_ = core::make_model(o);
    core::PartitionOptions p;
    p.clients = 6;
    parts_ = core::partition(p, 90, data_.labels, {});
    clients_ = std::make_unique<PartitionedData>(data_, parts_);
    local_.batch = 4;
  }
  const core::TrainableModel& model() const override { return *model_; }
  const ClientData& data() const override { return *clients_; }
  const LocalOptions& local() const override { return local_; }
  std::uint64_t own_examples() const override { return 0; }

 private:
  Examples data_;
  core::Partition parts_;
  std::unique_ptr<ClientData> clients_;
  std::unique_ptr<core::TrainableModel> model_;
  LocalOptions local_;
};

/// Node processes, as threads of the test.
class Nodes {
 public:
  /// Node `dying` fails at its first task.
  Nodes(int count, int threads, int dying = -1, bool norms = false) {
    for (int i = 0; i < count; ++i) {
      auto ends = comm::inproc_group(2);
      servers_.push_back(std::move(ends[0]));
      workers_.push_back(std::move(ends[1]));
      beats_.push_back(std::make_unique<comm::Heartbeat>(*servers_.back()));
      threads_.emplace_back([transport = workers_.back().get(), threads, norms, dies = i == dying] {
        const comm::Service service{kClientService, [&](comm::Transport& t, core::Bytes job) {
                                      if (dies) return die(t);
                                      serve_clients(t, job, {threads, {}, [norms](const ClientJob&) { return std::make_unique<Side>(norms); }});
                                    }};
        try {
          comm::serve_session(*transport, std::span(&service, 1));
        } catch (const core::Error&) {
        }
      });
    }
  }
  ~Nodes() {
    for (auto& server : servers_) {
      try {
        comm::end_session(*server);
      } catch (const core::Error&) {
      }
    }
    beats_.clear();
    servers_.clear();
  }
  std::vector<ClientNode> list() const {
    std::vector<ClientNode> nodes;
    for (const auto& server : servers_) nodes.push_back({server.get(), 1});
    return nodes;
  }
  comm::Transport& server(std::size_t i) { return *servers_[i]; }

 private:
  static void die(comm::Transport& t) {
    t.send(0, comm::Kind::ready, encode(ClientReady{}), comm::kNoDeadline);
    t.next(0, comm::kNoDeadline);
    throw core::Error(core::Kind::refused, "its plug was pulled");
  }

  std::vector<std::unique_ptr<comm::Transport>> servers_, workers_;
  std::vector<std::unique_ptr<comm::Heartbeat>> beats_;
  std::vector<std::jthread> threads_;
};

ClientJob job() {
  ClientJob j;
  j.run = 7;
  j.values = 21;
  return j;
}

Vector start_model() { return std::make_shared<const std::vector<float>>(21, 0.01f); }

LocalWork scaffold() {
  LocalWork work;
  work.control_variates = true;
  return work;
}

}  // namespace

TEST_CASE("nodes give the replies of this process, whatever their number and threads") {
  const Side side;
  for (const auto& [nodes, threads] : {std::pair{1, 1}, {2, 1}, {3, 2}, {4, 3}}) {
    CAPTURE(nodes);
    ClientStates states;
    const auto here = local_workplace(side.model(), side.data(), states, {side.local(), 2});
    Nodes there(nodes, threads);
    RemoteWorkplace remote(there.list(), job());
    const Vector model = start_model(), control = std::make_shared<const std::vector<float>>(21, 0.5f);
    TaskId id = 0;
    for (std::int64_t round = 1; round <= 3; ++round) {
      std::vector<TaskId> ids;
      for (std::int64_t client = 0; client < 6; ++client) {
        const Assign task{++id, client, round, model, control, scaffold()};
        here->begin(task, static_cast<double>(6 - client));
        remote.begin(task, 0);
        ids.push_back(id);
      }
      here->release(ids[2]);
      remote.release(ids[2]);
      for (const TaskId task : ids) {
        if (task == ids[2]) continue;
        const Trained a = here->finish(task), b = remote.finish(task);
        CHECK(a.reply.model == b.reply.model);
        CHECK(a.reply.control == b.reply.control);
        CHECK(a.reply.loss == b.reply.loss);
        CHECK(a.reply.examples == b.reply.examples);
        CHECK(a.stateful);
        CHECK(b.stateful);
        const Commit commit{task, a.reply.client};
        if (task != ids[4]) {
          here->commit(commit);
          remote.commit(commit);
        } else {
          here->release(task);
          remote.release(task);
        }
      }
      remote.settle(id + 1);
    }
    const auto reports = remote.close();
    std::uint64_t tasks = 0;
    for (const ClientReport& report : reports) tasks += report.tasks;
    CHECK(tasks >= 15);
    CHECK(tasks <= 18);
  }
}

TEST_CASE("bytes on the wire are those that are counted") {
  Nodes there(1, 1);
  RemoteWorkplace remote(there.list(), job());
  const auto before = there.server(0).counters(1);
  Traffic expected;
  for (TaskId id = 1; id <= 4; ++id) {
    // A model of its own for each task, as devices of their own would be sent it.
    remote.begin({id, id, 1, start_model(), std::make_shared<const std::vector<float>>(21), scaffold()}, 0);
    remote.finish(id);
    count_task(expected, 21, 21);
    count_reply(expected, 21, 21);
  }
  const auto after = there.server(0).counters(1);
  const std::uint64_t beats = (after.frames_sent - before.frames_sent - 4 * 3) * comm::kHeaderBytes;
  const std::uint64_t beats_back = (after.frames_received - before.frames_received - 4 * 3) * comm::kHeaderBytes;
  CHECK(after.bytes_sent - before.bytes_sent - beats == expected.down_wire);
  CHECK(after.bytes_received - before.bytes_received - beats_back == expected.up_wire);
  CHECK(expected.down_payload == 4 * 2 * 84);
}

TEST_CASE("norm layers that stay home are neither sent nor counted, and nodes give the bits of this process") {
  const Side side(true);
  const core::ParameterLayout& layout = *side.model().layout();
  LocalWork work;
  work.norms_stay_home = true;
  const auto exchanged = std::make_shared<const Exchanged>(layout, work);
  std::int64_t norms = 0;
  for (const core::ParameterEntry& entry : layout.entries()) norms += entry.part == core::Part::weight ? 0 : entry.size;
  REQUIRE(norms > 0);
  CHECK(exchanged->values() == static_cast<std::uint64_t>(layout.size() - norms));
  ClientStates states;
  const auto here = local_workplace(side.model(), side.data(), states, {side.local(), 1});
  Nodes there(1, 1, -1, true);
  ClientJob with_norms = job();
  with_norms.values = static_cast<std::uint64_t>(layout.size());
  RemoteWorkplace remote(there.list(), with_norms);
  core::Parameters start(side.model().layout());
  core::initialise(start, side.local().seed);
  const auto before = there.server(0).counters(1);
  Traffic expected;
  TaskId id = 0;
  for (std::int64_t round = 1; round <= 3; ++round) {
    for (std::int64_t client = 0; client < 2; ++client) {
      // Other weights each time, as after a round, and so a model that has to be sent.
      for (std::size_t i = 0; i < start.values.size(); i += 7)
        if (const auto& e = layout.entries().front(); i < static_cast<std::size_t>(e.size)) start.values[i] += 0.01f;
      const Assign task{++id, client, round, std::make_shared<const std::vector<float>>(start.values), nullptr, work, exchanged};
      here->begin(task, 0);
      remote.begin(task, 0);
      const Trained a = here->finish(id), b = remote.finish(id);
      CHECK(a.failure == "");
      CHECK(a.reply.model == b.reply.model);
      CHECK(a.reply.loss == b.reply.loss);
      here->commit({id, client});
      remote.commit({id, client});
      count_task(expected, exchanged->values(), 0);
      count_reply(expected, exchanged->values(), 0);
    }
  }
  remote.settle(id + 1);
  const auto after = there.server(0).counters(1);
  CHECK(expected.up_payload == 6 * 4 * static_cast<std::uint64_t>(layout.size() - norms));
  const std::uint64_t sent = after.bytes_sent - before.bytes_sent, received = after.bytes_received - before.bytes_received;
  CHECK(sent >= expected.down_wire);
  CHECK(received >= expected.up_wire);
  // Verdicts, the settling and heartbeats are small; one model's norm layers are not.
  CHECK(sent < expected.down_wire + 4 * static_cast<std::uint64_t>(norms));
  CHECK(received < expected.up_wire + 4 * static_cast<std::uint64_t>(norms));
}

TEST_CASE("a model that several clients of a node start from is sent to it once") {
  Nodes there(1, 2);
  RemoteWorkplace remote(there.list(), job());
  const auto before = there.server(0).counters(1).bytes_sent;
  const Vector model = start_model();
  for (TaskId id = 1; id <= 6; ++id) remote.begin({id, id - 1, 1, model, nullptr, {}}, 0);
  for (TaskId id = 1; id <= 6; ++id) CHECK(remote.finish(id).failure.empty());
  Traffic one;
  count_task(one, 21, 0);
  Traffic bare;
  count_task(bare, 0, 0);
  const std::uint64_t sent = there.server(0).counters(1).bytes_sent - before;
  CHECK(sent >= one.down_wire + 5 * bare.down_wire);
  CHECK(sent < one.down_wire + 5 * bare.down_wire + 10 * comm::kHeaderBytes);  // and heartbeats
}

TEST_CASE("clients of a node that are to be like devices of their own are sent the model each") {
  Nodes there(1, 2);
  std::vector<ClientNode> nodes = there.list();
  nodes[0].shares_models = false;
  RemoteWorkplace remote(nodes, job());
  const auto before = there.server(0).counters(1).bytes_sent;
  const Vector model = start_model();
  Traffic expected;
  for (TaskId id = 1; id <= 6; ++id) {
    remote.begin({id, id - 1, 1, model, nullptr, {}}, 0);
    count_task(expected, 21, 0);
  }
  for (TaskId id = 1; id <= 6; ++id) CHECK(remote.finish(id).failure.empty());
  const std::uint64_t sent = there.server(0).counters(1).bytes_sent - before;
  CHECK(sent >= expected.down_wire);
  CHECK(sent < expected.down_wire + 10 * comm::kHeaderBytes);  // and heartbeats
}

TEST_CASE("a node that is gone takes its own tasks along, and the others go on") {
  Nodes there(2, 1, 1);
  RemoteWorkplace remote(there.list(), job());
  const Vector model = start_model();
  remote.begin({1, 0, 1, model, nullptr, {}}, 0);
  CHECK(remote.finish(1).failure.empty());
  remote.begin({2, 1, 2, model, nullptr, {}}, 0);
  const Trained lost = remote.finish(2);
  CHECK(lost.lost);
  CHECK(lost.failure.find("its plug was pulled") != std::string::npos);
  CHECK_FALSE(remote.reachable(1));
  CHECK(remote.reachable(0));
  remote.begin({3, 1, 2, model, nullptr, {}}, 0);
  CHECK(remote.finish(3).lost);
  remote.begin({4, 2, 2, model, nullptr, {}}, 0);
  CHECK(remote.finish(4).failure.empty());
  remote.settle(5);
  CHECK(remote.close().size() == 2);
}

TEST_CASE("a node that goes before the job has begun is waited for where it can come back") {
  Nodes there(1, 1);
  auto ends = comm::inproc_group(2);
  ends[1].reset();
  std::vector<ClientNode> nodes = there.list();
  nodes.push_back({ends[0].get(), 1});
  CHECK_THROWS_AS(RemoteWorkplace(nodes, job()), core::Error);
  Nodes again(1, 1);
  nodes[0] = again.list()[0];
  nodes[1].reconnect = []() -> comm::Transport* { throw core::Error(core::Kind::unreachable, "not yet"); };
  RemoteWorkplace remote(nodes, job());
  CHECK_FALSE(remote.reachable(1));
  remote.begin({1, 1, 1, start_model(), nullptr, {}}, 0);
  CHECK(remote.finish(1).lost);
  remote.begin({2, 0, 1, start_model(), nullptr, {}}, 0);
  CHECK(remote.finish(2).failure.empty());
}

TEST_CASE("a job that does not fit the node is refused by name") {
  Nodes there(1, 1);
  ClientJob wrong = job();
  wrong.values = 22;
  CHECK_THROWS_WITH_AS(RemoteWorkplace(there.list(), wrong), doctest::Contains("values: the server's model has 22, this node's 21"), core::Error);
}

TEST_CASE("what clients keep is found again by its version, on disk and in memory") {
  const auto state = [](float value) {
    ClientState s;
    s.vectors["control"] = {value, 2 * value};
    return s;
  };
  const tests::TemporaryFolder folder;
  for (const std::string& place : {std::string(), folder / "states"}) {
    CAPTURE(place);
    ClientStates states(place);
    CHECK(states.get(3, 10).vectors.empty());
    states.put(3, 5, state(1));
    states.put(3, 9, state(2));
    states.put(1003, 7, state(3));  // shares a folder with client 3
    CHECK(states.get(3, 10).vectors == state(2).vectors);
    CHECK(states.get(3, 9).vectors == state(1).vectors);
    CHECK(states.get(3, 5).vectors.empty());
    states.forget_before(10);
    states.put(3, 12, state(4));
    CHECK(states.get(3, 12).vectors == state(2).vectors);
    CHECK(states.get(3, 13).vectors == state(4).vectors);
    CHECK(states.get(3, 9).vectors.empty());
    CHECK(states.get(1003, 8).vectors == state(3).vectors);
  }
  // A later life that goes on from task 11 forgets what came after.
  const ClientStates again(folder / "states", 11);
  CHECK(again.get(3, 100).vectors == state(2).vectors);
  CHECK(again.get(1003, 100).vectors == state(3).vectors);
}

TEST_CASE("states of many clients leave memory") {
  ClientStates states({}, 1, 1000);
  for (std::int64_t client = 0; client < 100; ++client) {
    ClientState state;
    state.vectors["control"].assign(25, static_cast<float>(client));
    states.put(client, client + 1, state);
    CHECK(states.memory_bytes() <= 1000);
  }
  for (std::int64_t client = 0; client < 100; ++client) CHECK(states.get(client, 1000).vectors.at("control")[24] == static_cast<float>(client));
}

// `starling bench federated-overhead`: what the server of a federated run costs, apart from training: clients that send
// back what they were sent, on node processes over TCP.
#include <chrono>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <sys/resource.h>

#include "core/error.h"
#include "federated/wall_timeline.h"
#include "tools/command.h"
#include "tools/federation.h"
#include "tools/fleet.h"
#include "tools/self.h"

namespace starling::tools::bench {
namespace {

constexpr int kWidth = 994;  // of a perceptron with 999,966 values

struct OverheadOptions {
  int nodes = 2;      // processes
  int clients = 100;  // all of them in every round, each sent a model of its own as a device would be
  int rounds = 12;    // two of them are not timed: the first and the last
  bool json = false;
};

struct Measured {
  std::int64_t parameters = 0, replies = 0;
  std::uint64_t payload_bytes = 0;  // models, up and down
  double wall_s = 0;
  double server_s = 0;              // CPU time of this process
  double node_s = 0;                // CPU time of a node for one reply, what it took to start included
};

double cpu_seconds(int whose) {
  rusage usage{};
  ::getrusage(whose, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// One point in a run.
struct Mark {
  std::chrono::steady_clock::time_point at;
  double server_s = 0;
  federated::Traffic traffic;

  static Mark now(const federated::Traffic& traffic) { return {std::chrono::steady_clock::now(), cpu_seconds(RUSAGE_SELF), traffic}; }
};

Measured run_rounds(const OverheadOptions& options, int width, int rounds) {
  const Federation federation(parse_experiment(fmt::format("name = 'overhead'\nrounds = {}\nclock = 'wall'\n[data]\nname = 'synthetic'\nclients = {}\nfeatures = 8\n"
                                                           "classes = 2\nexamples_each = 1\n[model]\nname = 'mlp'\nwidth = {}\n[client]\nepochs = 0\n[evaluate]\nevery = {}\n",
                                                           rounds, options.clients, width, rounds),
                                               "the benchmark's experiment"),
                              {});
  const Experiment& e = federation.experiment();
  ClusterOptions cluster;
  cluster.nodes = fmt::format("local:{}", options.nodes);
  cluster.threads = 1;
  Fleet fleet(cluster, {});
  std::vector<federated::ClientNode> nodes = fleet.nodes(false);
  for (federated::ClientNode& node : nodes) node.shares_models = false;
  Measured m;
  m.parameters = federation.model().layout()->size();
  federated::ClientJob job;
  job.experiment = resolved(e);
  job.run = new_session();
  job.values = static_cast<std::uint64_t>(m.parameters);
  federated::RemoteWorkplace workplace(std::move(nodes), job);
  const federated::ReachablePopulation population(options.clients, workplace);
  federated::WallTimeline timeline(workplace);
  federated::RunOptions run_options{e.policy, e.strategy, e.rounds, 1, "", 0};
  Mark first, last;
  federated::RunHooks hooks;
  hooks.on_round = [&](const federated::RoundResult& r) {
    core::check(r.record.used == options.clients, core::Kind::refused, "round {}: {} replies of {} were used", r.record.round, r.record.used, options.clients);
    // The last round ends with an evaluation.
    if (r.record.round == rounds) return;
    last = Mark::now(r.traffic);
    if (r.record.round == 1)
      first = last;
    else
      m.replies += r.record.used;
  };
  const federated::RunResult result = federated::run(federation.model(), federation.dataset().test, run_options, population, workplace, timeline, hooks);
  core::check(result.completed, core::Kind::refused, "{}: {}", e.name, result.why);
  workplace.close();
  m.wall_s = std::chrono::duration<double>(last.at - first.at).count();
  m.server_s = last.server_s - first.server_s;
  m.payload_bytes = last.traffic.up_payload + last.traffic.down_payload - first.traffic.up_payload - first.traffic.down_payload;
  return m;
}

Measured measure(const OverheadOptions& options, int width, int rounds) {
  const double before = cpu_seconds(RUSAGE_CHILDREN);
  Measured m = run_rounds(options, width, rounds);
  m.node_s = (cpu_seconds(RUSAGE_CHILDREN) - before) / (static_cast<double>(rounds) * options.clients);
  return m;
}

int measure_overhead(const OverheadOptions& options) {
  const Measured large = measure(options, kWidth, options.rounds), small = measure(options, 1, 4 * options.rounds);
  const double rate = static_cast<double>(large.payload_bytes) / large.wall_s;
  const auto each_us = [](double seconds, const Measured& m) { return 1e6 * seconds / static_cast<double>(m.replies); };
  // Of one core that does nothing else, whoever computes: what a machine with other work on it cannot be timed for.
  const double core_s = large.server_s / static_cast<double>(large.replies) + large.node_s;
  const double core_rate = static_cast<double>(large.payload_bytes) / static_cast<double>(large.replies) / core_s;
  if (options.json)
    print_json({{"payload_bytes_per_s", rate},
                {"payload_bytes", large.payload_bytes},
                {"parameters", large.parameters},
                {"replies", large.replies},
                {"wall_s", large.wall_s},
                {"server_s", large.server_s},
                {"node_s_per_reply", large.node_s},
                {"payload_bytes_per_core_s", core_rate},
                {"us_per_reply", each_us(small.wall_s, small)},
                {"server_us_per_reply", each_us(small.server_s, small)},
                {"small_parameters", small.parameters},
                {"small_replies", small.replies},
                {"clients", options.clients},
                {"nodes", options.nodes}});
  else
    print(fmt::format("{} clients that train nothing, on {} processes over TCP\n"
                      "{} values: {:.2f} GB/s up and down; {:.1f} GB in {:.2f} s; a reply took the server {:.2f} ms of a core and its node {:.2f} ms: {:.2f} GB/s of one core\n"
                      "{} values: {:.1f} us a reply, of which the server computed {:.1f} us\n",
                      options.clients, options.nodes, large.parameters, rate * 1e-9, static_cast<double>(large.payload_bytes) * 1e-9, large.wall_s,
                      each_us(large.server_s, large) * 1e-3, large.node_s * 1e3, core_rate * 1e-9, small.parameters, each_us(small.wall_s, small), each_us(small.server_s, small)));
  return 0;
}

}  // namespace

std::function<int()> federated_overhead(CLI::App& app) {
  auto options = std::make_shared<OverheadOptions>();
  app.add_option("--nodes", options->nodes, "processes")->capture_default_str()->check(CLI::Range(1, 1024));
  app.add_option("--clients", options->clients, "all of them in every round")->capture_default_str()->check(CLI::Range(1, 100000));
  app.add_option("--rounds", options->rounds, "the first and the last are not timed")->capture_default_str()->check(CLI::Range(3, 100000));
  add_json_flag(app, options->json);
  return [options] { return measure_overhead(*options); };
}

}  // namespace starling::tools::bench

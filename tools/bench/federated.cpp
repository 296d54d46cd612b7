// `starling bench federated`: client updates a second of an experiment, trained by this process, counted from the end of
// the first round and without evaluations. `tools/peers flower` runs it beside Flower's simulation engine.
#include <chrono>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <sys/resource.h>

#include "core/clock.h"
#include "core/error.h"
#include "tools/command.h"
#include "tools/federated_run.h"
#include "tools/self.h"

namespace starling::tools::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct FederatedBenchOptions {
  std::string experiment;
  std::vector<std::string> overrides;
  int threads = 0;
  bool json = false;
};

int run_federated_bench(const FederatedBenchOptions& options) {
  const auto start = Clock::now();
  const Federation federation(load_experiment(options.experiment, options.overrides), {});
  const Experiment& e = federation.experiment();
  core::check(!e.own_data && e.clock == "virtual" && e.rounds > 1, core::Kind::usage, "{}: expected two rounds at least, clock = 'virtual', and data that is here",
              options.experiment);
  const int threads = threads_per_rank(options.threads, 1);
  federated::ClientStates states;
  const auto workplace = federated::local_workplace(federation.model(), federation.data(), states, {e.client, threads});
  const double ready_s = core::seconds_since(start);
  Clock::time_point first, last;
  std::int64_t updates = 0;
  double accuracy = 0;
  FederatedRun course{threads, e.rounds, "", 0, {}, nullptr};
  course.hooks.on_round = [&](const federated::RoundResult& r) {
    if (r.record.round == 1) first = Clock::now();
    if (r.evaluated) accuracy = r.test_accuracy;
    // The last round ends with the evaluation, so it is not counted.
    if (r.record.round == 1 || r.evaluated) return;
    updates += r.record.used;
    last = Clock::now();
  };
  const federated::RunResult result = run_federation(federation, {}, *workplace, course);
  core::check(result.completed, core::Kind::refused, "{}: {}", e.name, result.why);
  core::check(updates > 0, core::Kind::usage, "{}: three rounds at least are needed", options.experiment);
  const double timed_s = std::chrono::duration<double>(last - first).count();
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const double rate = static_cast<double>(updates) / timed_s;
  const double rounds_per_minute = 60 * static_cast<double>(e.rounds - 2) / timed_s;
  if (options.json)
    print_json({{"updates_per_s", rate}, {"rounds_per_min", rounds_per_minute}, {"ready_s", ready_s}, {"updates", updates}, {"timed_s", timed_s},
                {"threads", threads}, {"clients", federation.data().clients()}, {"peak_rss_bytes", static_cast<std::int64_t>(usage.ru_maxrss) * 1024}, {"test_accuracy", accuracy}});
  else
    print(fmt::format("{}: {} clients ready after {:.2f} s; {} updates in {:.2f} s: {:.1f} updates/s, {:.1f} rounds/min, {} threads, {:.0f} MiB at most, accuracy {:.2f} %\n", e.name,
                      federation.data().clients(), ready_s, updates, timed_s, rate, rounds_per_minute, threads, static_cast<double>(usage.ru_maxrss) / 1024, 100 * accuracy));
  return 0;
}

}  // namespace

std::function<int()> federated(CLI::App& app) {
  auto options = std::make_shared<FederatedBenchOptions>();
  app.add_option("EXPERIMENT", options->experiment, "experiment file (TOML)")->required();
  app.add_option("--set", options->overrides, "KEY=VALUE or SECTION.KEY=VALUE instead of the file's; may be given again")->allow_extra_args(false);
  app.add_option("--threads", options->threads, "default: all cores")->check(CLI::Range(1, 1024));
  add_json_flag(app, options->json);
  return [options] { return run_federated_bench(*options); };
}

}  // namespace starling::tools::bench

// `starling train`: a federated experiment, from one file to a run folder, under virtual time or on real nodes.
#include <unistd.h>

#include <chrono>

#include <CLI/CLI.hpp>
#include <fmt/chrono.h>
#include <nlohmann/json.hpp>

#include "core/clock.h"
#include "core/error.h"
#include "core/models/load.h"
#include "core/train/llama.h"
#include "tools/command.h"
#include "tools/federated_run.h"
#include "tools/fleet.h"
#include "tools/measure.h"
#include "tools/report/report.h"
#include "tools/run_output.h"
#include "tools/self.h"

namespace starling::tools {
namespace {

using core::check;
using core::Kind;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string experiment, out, resume;
  std::vector<std::string> overrides;
  ClusterOptions cluster;
  bool simulate = false, json = false;

  /// Tasks are trained by the threads of this process.
  bool here() const { return simulate && !nodes_given; }
  bool nodes_given = false;
};

/// A line of metrics.jsonl. `wall_s` is the only field that two runs of one seed may differ in.
nlohmann::json to_json(const federated::RoundResult& r, double wall_s) {
  const federated::RoundRecord& record = r.record;
  nlohmann::json line{{"round", record.round},
                      {"virtual_s", r.at},
                      {"wall_s", wall_s},
                      {"clients", record.used},
                      {"dropped", record.late + record.failed},
                      {"train_loss", record.train_loss},
                      {"uplink_bytes", r.traffic.up_payload},
                      {"downlink_bytes", r.traffic.down_payload},
                      {"uplink_wire_bytes", r.traffic.up_wire},
                      {"downlink_wire_bytes", r.traffic.down_wire}};
  if (r.evaluated) {
    line["test_accuracy"] = r.test_accuracy;
    line["test_loss"] = r.test_loss;
  }
  if (!record.changed) line["kept"] = record.why;
  if (!record.refused.empty()) line["refused"] = record.refused;
  for (const auto& [name, value] : record.metrics) line[name] = value;
  return line;
}

/// One line on a terminal, rewritten round by round.
class Progress {
 public:
  explicit Progress(std::int64_t rounds) : rounds_(rounds), shown_(::isatty(STDERR_FILENO) == 1) {}
  ~Progress() {
    if (shown_) fmt::print(stderr, "\r\033[K");
  }
  void show(const federated::RoundResult& r) {
    if (first_ == 0) first_ = r.record.round;
    if (r.evaluated) accuracy_ = r.test_accuracy;
    if (!shown_) return;
    const double left = core::seconds_since(start_) / static_cast<double>(r.record.round - first_ + 1) * static_cast<double>(rounds_ - r.record.round);
    fmt::print(stderr, "\r\033[Kround {} of {}, accuracy {:.1f} %, {:.0f} s of the run's time, {:.0f} s left", r.record.round, rounds_, 100 * accuracy_, r.at, left);
  }

 private:
  std::int64_t rounds_, first_ = 0;
  bool shown_;
  double accuracy_ = 0;
  Clock::time_point start_ = Clock::now();
};

/// Where the tasks of a run are trained, and by whom.
struct Work {
  std::unique_ptr<federated::ClientStates> states;
  std::unique_ptr<federated::Workplace> here;
  std::unique_ptr<federated::RemoteWorkplace> nodes;
  federated::Workplace& place() const { return nodes ? static_cast<federated::Workplace&>(*nodes) : *here; }
};

class Training {
 public:
  Training(const Options& options, Experiment experiment, std::optional<RunOutput> folder, Fleet* fleet)
      : options_(options), folder_(std::move(folder)), fleet_(fleet), federation_(std::move(experiment), {}) {}

  int run() {
    const Experiment& e = federation_.experiment();
    const federated::Journal* journal = folder_ && folder_->journal() ? &*folder_->journal() : nullptr;
    run_ = journal ? journal->run : new_session();
    Work work = start(journal);
    const std::vector<std::uint64_t> own = work.nodes ? work.nodes->own_examples() : std::vector<std::uint64_t>{};
    if (e.own_data)
      for (std::size_t i = 0; i < own.size(); ++i) check(own[i] > 0 || !work.nodes->reachable(static_cast<std::int64_t>(i)), Kind::usage, "{}: has no data of its own for {}", fleet_->names()[i], e.data.name);
    clients_ = clients_of(federation_, own);
    best_ = folder_ ? folder_->best_accuracy() : 0;
    Progress progress(e.rounds);
    FederatedRun course{evaluation_threads(), e.evaluate_every, folder_ ? folder_->journal_file() : "", run_, {}, journal};
    course.hooks.on_round = [&](const federated::RoundResult& r) {
      record(r);
      progress.show(r);
    };
    if (folder_) course.hooks.keep = [&] { return folder_->keep(); };
    const federated::RunResult result = run_federation(federation_, own, work.place(), course);
    const std::vector<federated::ClientReport> reports = work.nodes ? work.nodes->close() : std::vector<federated::ClientReport>{};
    conclude(result, reports);
    check(result.completed, Kind::refused, "{}: {}", e.name, result.why);
    return 0;
  }

 private:
  int evaluation_threads() const {
    return options_.here() ? threads_per_rank(options_.cluster.threads, 1) : describe_machine().cores;
  }

  Work start(const federated::Journal* journal) {
    Work work;
    const std::int64_t first_task = journal ? journal->server.next_task : 1;
    if (fleet_) {
      federated::ClientJob job;
      job.experiment = resolved(federation_.experiment());
      job.run = run_;
      job.first_task = static_cast<std::uint64_t>(first_task);
      job.values = static_cast<std::uint64_t>(federation_.model().layout()->size());
      work.nodes = std::make_unique<federated::RemoteWorkplace>(fleet_->nodes(federation_.experiment().clock == "wall"), job);
    } else {
      work.states = std::make_unique<federated::ClientStates>(folder_ ? folder_->clients() / fmt::format("{:016x}", run_) : "", first_task);
      work.here = federated::local_workplace(federation_.model(), federation_.data(), *work.states,
                                             {federation_.experiment().client, threads_per_rank(options_.cluster.threads, 1)});
    }
    return work;
  }

  void record(const federated::RoundResult& r) {
    last_ = r.evaluated ? r : last_;
    best_ = std::max(best_, r.test_accuracy);
    if (!r.evaluated) return;
    const nlohmann::json line = to_json(r, core::seconds_since(start_));
    if (folder_) folder_->add(line);
    if (options_.json) print_json(line);
  }

  void conclude(const federated::RunResult& result, const std::vector<federated::ClientReport>& reports) {
    const Experiment& e = federation_.experiment();
    nlohmann::json summary{{"name", e.name},
                           {"completed", result.completed},
                           {"rounds", result.rounds},
                           {"test_accuracy", last_.test_accuracy},
                           {"test_loss", last_.test_loss},
                           {"best_accuracy", best_},
                           {"virtual_s", result.at},
                           {"wall_s", core::seconds_since(start_)},
                           {"uplink_bytes", result.traffic.up_payload},
                           {"downlink_bytes", result.traffic.down_payload},
                           {"uplink_wire_bytes", result.traffic.up_wire},
                           {"downlink_wire_bytes", result.traffic.down_wire},
                           {"clients", clients_},
                           {"parameters", federation_.model().layout()->size()}};
    if (!result.completed) summary["why"] = result.why;
    for (std::size_t i = 0; i < reports.size(); ++i)
      summary["nodes"].push_back({{"name", fleet_->names()[i]},
                                  {"tasks", reports[i].tasks},
                                  {"train_ms", reports[i].train_ms},
                                  {"peak_rss_bytes", reports[i].peak_rss_bytes},
                                  {"bytes_sent", reports[i].bytes_sent},
                                  {"bytes_received", reports[i].bytes_received}});
    if (folder_) {
      folder_->finish(summary, e, *federation_.model().layout(), result.model);
      if (const auto& vocabulary = federation_.dataset().vocabulary; e.model.name == "llama" && vocabulary.model != core::TokenizerModel::none)
        core::save_gguf(folder_->folder() / "model.gguf", core::trained_llama(federation_.shape(), result.model, vocabulary), core::Type::f32);
      const bool ours = !federation_.parts().empty();
      if (last_.evaluated) write_report(folder_->folder(), ours ? std::optional(distribution_of(federation_.parts(), federation_.dataset().train)) : std::nullopt);
    }
    if (options_.json) return print_json(summary);
    print(fmt::format("{}: {} rounds of {}, {} clients, {}\n", e.name, result.rounds, e.strategy.name, clients_, e.model.name));
    print(fmt::format("test accuracy {:.2f} % (best {:.2f} %), loss {:.4f}\n", 100 * last_.test_accuracy, 100 * best_, last_.test_loss));
    print(fmt::format("{} time {:.0f} s, {:.1f} MB up, {:.1f} MB down, computed in {:.1f} s\n", e.clock, result.at, static_cast<double>(result.traffic.up_wire) / 1e6,
                      static_cast<double>(result.traffic.down_wire) / 1e6, core::seconds_since(start_)));
    for (std::size_t i = 0; i < reports.size(); ++i)
      print(fmt::format("  {}: {} tasks in {:.1f} s, {:.1f} MB sent, {:.1f} MB received\n", fleet_->names()[i], reports[i].tasks, reports[i].train_ms / 1e3,
                        static_cast<double>(reports[i].bytes_sent) / 1e6, static_cast<double>(reports[i].bytes_received) / 1e6));
  }

  const Options& options_;
  std::optional<RunOutput> folder_;
  Fleet* fleet_;
  Federation federation_;
  std::uint64_t run_ = 0;
  std::int64_t clients_ = 0;
  federated::RoundResult last_;
  double best_ = 0;
  Clock::time_point start_ = Clock::now();
};

int run(const Options& options) {
  // First of all: the other ranks of an MPI job only serve.
  std::unique_ptr<Fleet> fleet;
  if (options.cluster.nodes_from_mpi() || options.cluster.mpi_ranks()) {
    const std::filesystem::path folder = options.out.empty() ? options.resume : options.out;
    fleet = std::make_unique<Fleet>(options.cluster, folder.empty() ? folder : folder / "clients");
    if (fleet->is_worker()) return fleet->serve();
  }
  try {
    check(options.experiment.empty() != options.resume.empty(), Kind::usage, "give an experiment file, or --resume DIR");
    check(options.resume.empty() || (options.overrides.empty() && options.out.empty()), Kind::usage, "--resume {}: goes on with its own settings, without --set and --out", options.resume);
    const bool resumes = !options.resume.empty();
    std::optional<RunOutput> folder;
    if (resumes) folder.emplace(options.resume);
    Experiment e = resumes ? load_experiment(std::filesystem::path(options.resume) / "settings.toml") : load_experiment(options.experiment, options.overrides);
    const std::string& source = resumes ? options.resume : options.experiment;
    check(e.clock == "virtual" || !options.simulate, Kind::usage, "{}: clock = 'wall' needs nodes that take their time; --simulate has a virtual clock", source);
    check(!e.own_data || !options.here(), Kind::usage, "{}: [data] own = true needs nodes that hold the data", source);
    if (!options.out.empty()) folder.emplace(options.out, e);
    if (!options.here() && !fleet) fleet = std::make_unique<Fleet>(options.cluster, folder ? folder->clients() : std::filesystem::path());
    if (e.clock == "wall" && !options.json) print("real time: the profiles of devices and links are not used\n");
    return Training(options, std::move(e), std::move(folder), fleet.get()).run();
  } catch (const core::Error& error) {
    if (fleet) fleet->fail(error);
    throw;
  }
}

}  // namespace

std::function<int()> train(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("EXPERIMENT", o->experiment, "experiment file (TOML)");
  app.add_option("--set", o->overrides, "KEY=VALUE or SECTION.KEY=VALUE instead of the file's; may be given again")->allow_extra_args(false);
  app.add_flag("--simulate", o->simulate, "virtual clients under a virtual clock, trained by this process unless --nodes says otherwise");
  app.add_option("--out", o->out, "run folder to write: settings, metrics, summary, model");
  app.add_option("--resume", o->resume, "goes on with the run in this folder, which was interrupted");
  add_node_options(app, o->cluster);
  add_json_flag(app, o->json);
  return [o, &app] {
    o->nodes_given = app.count("--nodes") > 0 || app.count("--transport") > 0;
    return run(*o);
  };
}

}  // namespace starling::tools

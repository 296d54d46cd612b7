// `starling train`: a federated experiment, from one file to a run folder.
#include <unistd.h>

#include <chrono>
#include <fstream>

#include <CLI/CLI.hpp>
#include <fmt/chrono.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/formats/safetensors.h"
#include "core/models/load.h"
#include "core/train/llama.h"
#include "sim/simulator.h"
#include "tools/command.h"
#include "tools/experiment.h"
#include "tools/measure.h"

namespace starling::tools {
namespace {

using core::check;
using core::Kind;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string experiment, out;
  std::vector<std::string> overrides;
  bool simulate = false, json = false;
  int threads = 0;
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// A line of metrics.jsonl. `wall_s` is the only field that two runs of one seed may differ in.
nlohmann::json to_json(const sim::RoundResult& r, double wall_s) {
  const federated::RoundRecord& record = r.record;
  nlohmann::json line{{"round", record.round},         {"virtual_s", r.virtual_s},           {"wall_s", wall_s},
                      {"clients", record.used},        {"dropped", record.late + record.failed}, {"train_loss", record.train_loss},
                      {"uplink_bytes", r.uplink_bytes}, {"downlink_bytes", r.downlink_bytes}};
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
  void show(const sim::RoundResult& r) {
    if (r.evaluated) accuracy_ = r.test_accuracy;
    if (!shown_) return;
    const double left = seconds_since(start_) / static_cast<double>(r.record.round) * static_cast<double>(rounds_ - r.record.round);
    fmt::print(stderr, "\r\033[Kround {} of {}, accuracy {:.1f} %, virtual {:.0f} s, {:.0f} s left", r.record.round, rounds_, 100 * accuracy_, r.virtual_s, left);
  }

 private:
  std::int64_t rounds_;
  bool shown_;
  double accuracy_ = 0;
  Clock::time_point start_ = Clock::now();
};

void write_text(const std::filesystem::path& file, const std::string& text) {
  core::write_file(file, [&](const core::Sink& sink) { sink(std::as_bytes(std::span(text))); });
}

void write_model(const std::filesystem::path& file, const Experiment& e, const core::ParameterLayout& layout, std::span<const float> values) {
  std::vector<core::Outgoing> tensors;
  for (const core::ParameterEntry& entry : layout.entries()) {
    const auto slice = values.subspan(static_cast<std::size_t>(entry.offset), static_cast<std::size_t>(entry.size));
    tensors.push_back({entry.name, core::Type::f32, entry.shape, [slice](const core::Sink& sink) { sink(std::as_bytes(slice)); }});
  }
  core::write_safetensors(file, {{"model", e.model.name}, {"experiment", e.name}}, tensors);
}

int run(const Options& options) {
  check(options.simulate, Kind::unsupported, "train: give --simulate; training on running nodes is not there yet");
  Experiment e = load_experiment(options.experiment, options.overrides);
  check(e.clock == "virtual", Kind::unsupported, "{}: clock = 'wall' needs running nodes; --simulate has a virtual clock", options.experiment);
  core::Dataset data = core::load_dataset(e.data);
  const core::Partition parts = core::partition(e.partition, static_cast<std::size_t>(data.train.count), data.train.labels, data.owners);
  if (e.partition.kind == "noise") core::add_noise(parts, e.noise, e.seed, data.train);
  e.devices.clients = static_cast<std::int64_t>(parts.size());
  core::ModelOptions shape = e.model;
  shape.input = data.input;
  shape.classes = data.classes;
  const auto model = core::make_model(shape);
  sim::SimulationOptions simulation{e.policy, e.strategy, e.client, e.devices, e.evaluate_every, options.threads > 0 ? options.threads : describe_machine().cores};

  const std::filesystem::path folder = options.out;
  std::ofstream metrics;
  if (!options.out.empty()) {
    check(!std::filesystem::exists(folder / "metrics.jsonl"), Kind::usage, "{}: holds a run already", options.out);
    std::filesystem::create_directories(folder);
    write_text(folder / "settings.toml", resolved(e));
    metrics.open(folder / "metrics.jsonl");
    check(metrics.good(), Kind::refused, "{}: {}", (folder / "metrics.jsonl").string(), core::last_error);
  }
  const auto start = Clock::now();
  double best = 0;
  Progress progress(e.rounds);
  const sim::SimulationResult result = sim::simulate(*model, data.train, data.test, parts, simulation, [&](const sim::RoundResult& r) {
    const nlohmann::json line = to_json(r, seconds_since(start));
    best = std::max(best, r.test_accuracy);
    if (metrics.is_open() && r.evaluated) metrics << line.dump() << std::endl;
    if (options.json && r.evaluated) print_json(line);
    progress.show(r);
  });
  const sim::RoundResult last = result.rounds.empty() ? sim::RoundResult{} : result.rounds.back();
  nlohmann::json summary{{"name", e.name},
                         {"completed", result.completed},
                         {"rounds", result.rounds.size()},
                         {"test_accuracy", last.test_accuracy},
                         {"test_loss", last.test_loss},
                         {"best_accuracy", best},
                         {"virtual_s", last.virtual_s},
                         {"wall_s", seconds_since(start)},
                         {"uplink_bytes", last.uplink_bytes},
                         {"downlink_bytes", last.downlink_bytes},
                         {"parameters", model->layout()->size()}};
  if (!result.completed) summary["why"] = result.why;
  if (!options.out.empty()) {
    write_text(folder / "summary.json", summary.dump(2) + "\n");
    write_model(folder / "model.safetensors", e, *model->layout(), result.model);
    if (e.model.name == "llama" && data.vocabulary.model != core::TokenizerModel::none)
      core::save_gguf(folder / "model.gguf", core::trained_llama(shape, result.model, data.vocabulary), core::Type::f32);
  }
  if (options.json) {
    print_json(summary);
  } else {
    print(fmt::format("{}: {} rounds of {}, {} clients, {}\n", e.name, result.rounds.size(), e.strategy.name, parts.size(), e.model.name));
    print(fmt::format("test accuracy {:.2f} % (best {:.2f} %), loss {:.4f}\n", 100 * last.test_accuracy, 100 * best, last.test_loss));
    print(fmt::format("virtual time {:.0f} s, {:.1f} MB up, {:.1f} MB down, computed in {:.1f} s\n", last.virtual_s, last.uplink_bytes / 1e6, last.downlink_bytes / 1e6,
                      seconds_since(start)));
  }
  check(result.completed, Kind::refused, "{}: {}", e.name, result.why);
  return 0;
}

}  // namespace

std::function<int()> train(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("EXPERIMENT", o->experiment, "experiment file (TOML)")->required();
  app.add_option("--set", o->overrides, "KEY=VALUE or SECTION.KEY=VALUE instead of the file's; may be given again")->allow_extra_args(false);
  app.add_flag("--simulate", o->simulate, "virtual clients under a virtual clock, in this process");
  app.add_option("--out", o->out, "run folder to write: settings, metrics, summary, model");
  app.add_option("--threads", o->threads, "threads that train (default: all cores); no result depends on them")->check(CLI::Range(1, 1024));
  add_json_flag(app, o->json);
  return [o] { return run(*o); };
}

}  // namespace starling::tools

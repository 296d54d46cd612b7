#include "tools/run_output.h"

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/train/load_checkpoint.h"
#include "tools/descriptor.h"

namespace starling::tools {

using core::check;
using core::Kind;
namespace fs = std::filesystem;

namespace {

void write_text(const fs::path& file, const std::string& text) {
  core::write_file(file, [&](const core::Sink& sink) { sink(std::as_bytes(std::span(text))); });
}

double best_accuracy_in(const fs::path& metrics) {
  std::ifstream in(metrics);
  double best = 0;
  for (std::string line; std::getline(in, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    check(json.is_object(), Kind::malformed, "{}: a line is no JSON object: {}", metrics.string(), line.substr(0, 60));
    if (const auto accuracy = json.find("test_accuracy"); accuracy != json.end() && accuracy->is_number()) best = std::max(best, accuracy->get<double>());
  }
  return best;
}

}  // namespace

RunOutput::RunOutput(const fs::path& folder, const Experiment& experiment) : folder_(folder) {
  check(!fs::exists(settings()), Kind::usage, "{}: holds a run already; --resume goes on with it", folder.string());
  fs::create_directories(folder);
  write_text(settings(), resolved(experiment));
  open_metrics();
}

RunOutput::RunOutput(const fs::path& folder) : folder_(folder) {
  check(fs::exists(settings()), Kind::missing, "{}: holds no run (no settings.toml)", folder.string());
  check(!fs::exists(folder / "summary.json"), Kind::usage, "{}: the run is complete", folder.string());
  std::uint64_t kept = 0;
  if (fs::exists(journal_file())) {
    journal_ = federated::read_journal(journal_file());
    kept = journal_->kept;
  } else {
    fs::remove_all(clients());
  }
  const std::uint64_t there = fs::exists(metrics_file()) ? fs::file_size(metrics_file()) : 0;
  check(there >= kept, Kind::malformed, "{}: {} bytes, the journal knows {}", metrics_file().string(), there, kept);
  if (there > kept) fs::resize_file(metrics_file(), kept);
  if (kept > 0) best_ = best_accuracy_in(metrics_file());
  open_metrics();
}

void RunOutput::open_metrics() {
  metrics_.open(metrics_file(), std::ios::app);
  check(metrics_.good(), Kind::refused, "{}: {}", metrics_file().string(), core::last_error);
}

void RunOutput::add(const nlohmann::json& metrics) {
  metrics_ << metrics.dump() << std::endl;
  check(metrics_.good(), Kind::refused, "{}: {}", metrics_file().string(), core::last_error);
}

std::uint64_t RunOutput::keep() {
  const Descriptor file(::open(metrics_file().c_str(), O_WRONLY | O_CLOEXEC));
  check(file.get() >= 0 && ::fsync(file.get()) == 0, Kind::refused, "{}: {}", metrics_file().string(), core::last_error);
  return fs::file_size(metrics_file());
}

void RunOutput::finish(const nlohmann::json& summary, const Experiment& e, const core::ParameterLayout& layout, std::span<const float> model) {
  core::save_checkpoint(folder_ / "model.safetensors", layout, model, {{"model", e.model.name}, {"experiment", e.name}});
  // The last: a run with a summary is complete.
  write_text(folder_ / "summary.json", summary.dump(2) + "\n");
}

}  // namespace starling::tools

// A run folder as command-line.md lays it down: settings.toml, metrics.jsonl, journal, summary.json, model.safetensors,
// and clients/ with what clients keep.
#pragma once

#include <filesystem>
#include <fstream>
#include <optional>

#include <nlohmann/json_fwd.hpp>

#include "core/train/parameters.h"
#include "federated/journal.h"
#include "tools/experiment.h"

namespace starling::tools {

class RunOutput {
 public:
  /// Of a new run. Kind::usage when the folder holds one already.
  RunOutput(const std::filesystem::path& folder, const Experiment& experiment);
  /// Of one that shall go on: its metrics are cut back to what its journal knows. Kind::missing when there is no run,
  /// Kind::usage when it is complete.
  explicit RunOutput(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path settings() const { return folder_ / "settings.toml"; }
  std::filesystem::path journal_file() const { return folder_ / "journal"; }
  std::filesystem::path clients() const { return folder_ / "clients"; }
  /// Where the run was; nullopt when it did not come to the end of its first round.
  const std::optional<federated::Journal>& journal() const { return journal_; }
  double best_accuracy() const { return best_; }

  void add(const nlohmann::json& metrics);
  /// What was added is on disk when it returns; how many bytes that are.
  std::uint64_t keep();
  void finish(const nlohmann::json& summary, const Experiment& experiment, const core::ParameterLayout& layout, std::span<const float> model);

 private:
  void open_metrics();
  std::filesystem::path metrics_file() const { return folder_ / "metrics.jsonl"; }

  std::filesystem::path folder_;
  std::ofstream metrics_;
  std::optional<federated::Journal> journal_;
  double best_ = 0;
};

}  // namespace starling::tools

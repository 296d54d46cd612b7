// A run folder as `train` leaves it or is filling it: settings.toml, metrics.jsonl and, once the run has ended,
// summary.json, read within bounds. Settings are kept as texts too, so that a run of another version still has a report.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace starling::tools {

/// A line of metrics.jsonl. Time and bytes count from the start of the run.
struct RoundLine {
  std::int64_t round = 0, clients = 0, dropped = 0;
  double virtual_s = 0, uplink_bytes = 0, downlink_bytes = 0;
  double wire_bytes = 0;                             // both ways with frames; 0: not counted
  std::optional<double> accuracy, loss, train_loss;  // absent where not evaluated or not a number
  std::map<std::string, std::int64_t> refused;       // replies, by reason
  std::string kept;                                  // why the model stayed as it was; empty: it moved
  std::map<std::string, double> own;                 // the strategy's numbers

  double traffic() const { return uplink_bytes + downlink_bytes; }
  std::int64_t refusals() const;
};

struct Setting {
  std::string key, value;  // "strategy.name"
};

struct RunFolder {
  std::filesystem::path folder;
  std::string name;
  std::string label;               // the name, or the folder too where names are alike
  std::string toml;                // settings.toml as it is
  std::vector<Setting> settings;   // in the file's order
  std::vector<RoundLine> lines;    // at least one, rounds rising
  bool ended = false, completed = false;
  std::string why;                 // where it ended early
  std::optional<std::int64_t> parameters;
  std::vector<std::string> remarks;  // what a reader should know, in sentences

  /// Empty when the settings have no such key.
  std::string setting(std::string_view key) const;
};

/// Whether `folder` is one that read_run would try.
bool is_run_folder(const std::filesystem::path& folder);

/// Kind::missing when a file is not there or no round has ended yet; Kind::malformed naming file, line and field. A last
/// line cut off in the middle, as a running or killed run has, is left out with a remark.
RunFolder read_run(const std::filesystem::path& folder);
/// With labels that tell them apart.
std::vector<RunFolder> read_runs(std::span<const std::filesystem::path> folders);

}  // namespace starling::tools

// What runs are compared by: final, best and mean accuracy, and what it took to reach given accuracies.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tools/report/run_folder.h"

namespace starling::tools {

/// The first evaluated round with at least that accuracy; absent where there was none.
struct Reached {
  double accuracy = 0;
  std::optional<std::int64_t> round;
  double bytes = 0, virtual_s = 0;  // until then; of the whole run where not reached
};

struct Figures {
  std::optional<double> final_accuracy, final_loss, best_accuracy;
  std::optional<double> last_mean;  // of the last ten evaluated rounds
  std::int64_t best_round = 0, rounds = 0;
  double virtual_s = 0, uplink_bytes = 0, downlink_bytes = 0, wire_bytes = 0;
  std::vector<Reached> reached;     // one a target
};

Figures figures_of(const RunFolder& run, std::span<const double> targets);

/// Up to three round accuracies, the highest that some run has reached.
std::vector<double> usual_targets(std::span<const RunFolder> runs);

/// A setting and its value in every run ("" where a run has none).
struct Difference {
  std::string key;
  std::vector<std::string> values;
};
/// The settings whose values are not the same in all runs.
std::vector<Difference> differences(std::span<const RunFolder> runs);

/// {"runs": [...], "differences": {key: [values]}}.
nlohmann::ordered_json comparison_json(std::span<const RunFolder> runs, std::span<const Figures> figures);

}  // namespace starling::tools

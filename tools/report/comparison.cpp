#include "tools/report/comparison.h"

#include <algorithm>
#include <array>
#include <set>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace starling::tools {
namespace {

constexpr std::size_t kLastRounds = 10;

std::vector<double> accuracies(const RunFolder& run) {
  std::vector<double> values;
  for (const RoundLine& line : run.lines)
    if (line.accuracy) values.push_back(*line.accuracy);
  return values;
}

template <class T>
nlohmann::ordered_json or_null(const std::optional<T>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
}

}  // namespace

Figures figures_of(const RunFolder& run, std::span<const double> targets) {
  const RoundLine& last = run.lines.back();
  Figures f;
  f.rounds = last.round;
  f.virtual_s = last.virtual_s;
  f.uplink_bytes = last.uplink_bytes;
  f.downlink_bytes = last.downlink_bytes;
  f.wire_bytes = last.wire_bytes;
  for (const double accuracy : targets) f.reached.push_back({accuracy, std::nullopt, last.traffic(), last.virtual_s});
  for (const RoundLine& line : run.lines) {
    if (line.loss) f.final_loss = line.loss;
    if (!line.accuracy) continue;
    f.final_accuracy = line.accuracy;
    if (!f.best_accuracy || *line.accuracy > *f.best_accuracy) {
      f.best_accuracy = line.accuracy;
      f.best_round = line.round;
    }
    for (Reached& target : f.reached)
      if (!target.round && *line.accuracy >= target.accuracy) target = {target.accuracy, line.round, line.traffic(), line.virtual_s};
  }
  const std::vector<double> all = accuracies(run);
  const std::size_t count = std::min(kLastRounds, all.size());
  double sum = 0;
  for (std::size_t i = all.size() - count; i < all.size(); ++i) sum += all[i];
  if (count > 0) f.last_mean = sum / static_cast<double>(count);
  return f;
}

std::vector<double> usual_targets(std::span<const RunFolder> runs) {
  constexpr std::array kRound{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99};
  constexpr std::size_t kCount = 3;
  double best = 0;
  for (const RunFolder& run : runs)
    for (const double accuracy : accuracies(run)) best = std::max(best, accuracy);
  std::vector<double> targets;
  for (const double accuracy : kRound)
    if (accuracy <= best) targets.push_back(accuracy);
  if (targets.size() > kCount) targets.erase(targets.begin(), targets.end() - kCount);
  return targets;
}

std::vector<Difference> differences(std::span<const RunFolder> runs) {
  std::vector<Difference> found;
  std::set<std::string> seen;
  for (const RunFolder& run : runs)
    for (const Setting& setting : run.settings) {
      if (!seen.insert(setting.key).second) continue;
      Difference difference{setting.key, {}};
      for (const RunFolder& other : runs) difference.values.push_back(other.setting(setting.key));
      const auto& values = difference.values;
      if (std::any_of(values.begin(), values.end(), [&](const std::string& v) { return v != values.front(); })) found.push_back(std::move(difference));
    }
  return found;
}

nlohmann::ordered_json comparison_json(std::span<const RunFolder> runs, std::span<const Figures> figures) {
  using nlohmann::ordered_json;
  ordered_json list = ordered_json::array();
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const RunFolder& run = runs[i];
    const Figures& f = figures[i];
    ordered_json targets = ordered_json::array();
    for (const Reached& r : f.reached)
      targets.push_back({{"accuracy", r.accuracy},
                         {"round", or_null(r.round)},
                         {"bytes", r.round ? ordered_json(r.bytes) : ordered_json()},
                         {"virtual_s", r.round ? ordered_json(r.virtual_s) : ordered_json()}});
    list.push_back({{"run", run.label},
                    {"folder", run.folder.string()},
                    {"name", run.name},
                    {"strategy", run.setting("strategy.name")},
                    {"model", run.setting("model.name")},
                    {"data", run.setting("data.name")},
                    {"ended", run.ended},
                    {"completed", run.completed},
                    {"rounds", f.rounds},
                    {"final_accuracy", or_null(f.final_accuracy)},
                    {"final_loss", or_null(f.final_loss)},
                    {"best_accuracy", or_null(f.best_accuracy)},
                    {"best_round", f.best_accuracy ? ordered_json(f.best_round) : ordered_json()},
                    {"last_10_accuracy", or_null(f.last_mean)},
                    {"virtual_s", f.virtual_s},
                    {"uplink_bytes", f.uplink_bytes},
                    {"downlink_bytes", f.downlink_bytes},
                    {"wire_bytes", f.wire_bytes > 0 ? ordered_json(f.wire_bytes) : ordered_json()},
                    {"parameters", or_null(run.parameters)},
                    {"targets", std::move(targets)},
                    {"remarks", run.remarks}});
  }
  ordered_json changed = ordered_json::object();
  for (const Difference& difference : differences(runs)) changed[difference.key] = difference.values;
  return {{"runs", std::move(list)}, {"differences", std::move(changed)}};
}

}  // namespace starling::tools

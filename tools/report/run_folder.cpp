#include "tools/report/run_folder.h"

#include <algorithm>
#include <set>
#include <sstream>

#include <toml++/toml.h>

#include "core/error.h"
#include "core/file.h"
#include "core/formats/json_fields.h"

namespace starling::tools {
namespace {

namespace fs = std::filesystem;
using core::check;
using core::JsonFields;
using core::Kind;

constexpr std::uint64_t kSettingsBytesMax = 1 << 20, kMetricsBytesMax = std::uint64_t{256} << 20, kLineBytesMax = 1 << 20;
constexpr int kDepthMax = 8;
constexpr std::size_t kOwnMax = 64, kReasonsMax = 64;

/// What a line has whatever the strategy.
const std::set<std::string, std::less<>> kCommon{"round",        "virtual_s",      "wall_s",            "test_accuracy",       "test_loss",
                                                 "train_loss",   "clients",        "dropped",           "refused",             "kept",
                                                 "uplink_bytes", "downlink_bytes", "uplink_wire_bytes", "downlink_wire_bytes"};

std::int64_t count(const JsonFields& fields, std::string_view key, std::int64_t least) {
  const std::int64_t value = fields.required_integer(key);
  fields.require(value >= least, key, "= {}, expected at least {}", value, least);
  return value;
}

double amount(const JsonFields& fields, std::string_view key) {
  const std::optional<double> value = fields.real(key);
  fields.require(value.has_value(), key, "is missing");
  fields.require(*value >= 0, key, "= {}, expected at least 0", *value);
  return *value;
}

RoundLine parse_line(std::string_view text, const std::string& source) {
  const nlohmann::json json = core::parse_json_object(std::as_bytes(std::span(text)), source, {kLineBytesMax, kDepthMax});
  const JsonFields fields(json, source);
  RoundLine line;
  line.round = count(fields, "round", 1);
  line.clients = count(fields, "clients", 0);
  line.dropped = count(fields, "dropped", 0);
  line.virtual_s = amount(fields, "virtual_s");
  line.uplink_bytes = amount(fields, "uplink_bytes");
  line.downlink_bytes = amount(fields, "downlink_bytes");
  for (const char* key : {"uplink_wire_bytes", "downlink_wire_bytes"})
    if (fields.find(key)) line.wire_bytes += amount(fields, key);
  line.accuracy = fields.real("test_accuracy");
  if (line.accuracy) fields.require(*line.accuracy >= 0 && *line.accuracy <= 1, "test_accuracy", "= {}, expected 0 to 1", *line.accuracy);
  line.loss = fields.real("test_loss");
  line.train_loss = fields.real("train_loss");
  line.kept = fields.text("kept").value_or("");
  if (const auto refused = fields.object("refused")) {
    const nlohmann::json& reasons = *fields.find("refused");
    fields.require(reasons.size() <= kReasonsMax, "refused", "has {} reasons, at most {} expected", reasons.size(), kReasonsMax);
    for (const auto& [reason, number] : reasons.items()) line.refused[reason] = count(*refused, reason, 0);
  }
  for (const auto& [key, value] : json.items())
    if (value.is_number() && !kCommon.contains(key) && line.own.size() < kOwnMax) line.own[key] = value.get<double>();
  return line;
}

void read_metrics(const fs::path& file, RunFolder& run) {
  const std::string text = core::read_text(file, kMetricsBytesMax);
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view content = std::string_view(text).substr(begin, end - begin);
    const bool unfinished = end == text.size();
    begin = end + 1;
    ++number;
    if (content.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (unfinished && !nlohmann::json::accept(content)) {
      run.remarks.push_back(fmt::format("The last line of metrics.jsonl (line {}) is unfinished and left out: the run is still going or was cut off.", number));
      continue;
    }
    RoundLine line = parse_line(content, fmt::format("{}: line {}", file.string(), number));
    if (!run.lines.empty() && line.round <= run.lines.back().round) {
      const std::int64_t last = run.lines.back().round;
      while (!run.lines.empty() && run.lines.back().round >= line.round) run.lines.pop_back();
      run.remarks.push_back(fmt::format("Rounds {} to {} were computed again after a resume; what came later counts.", line.round, last));
    }
    run.lines.push_back(std::move(line));
  }
  check(!run.lines.empty(), Kind::missing, "{}: holds no evaluated round yet", file.string());
}

/// Texts without their quotes, numbers with the digits they need, anything else as TOML.
std::string plain_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  std::ostringstream text;
  node.visit([&](const auto& value) { text << value; });
  return text.str();
}

void flatten(const toml::table& table, const std::string& prefix, std::vector<std::pair<std::uint32_t, Setting>>& to, int depth, const std::string& source) {
  check(depth <= kDepthMax, Kind::malformed, "{}: [{}] is nested deeper than {}", source, prefix, kDepthMax);
  for (const auto& [key, node] : table) {
    const std::string name = prefix.empty() ? std::string(key.str()) : fmt::format("{}.{}", prefix, key.str());
    if (const toml::table* inner = node.as_table()) {
      flatten(*inner, name, to, depth + 1, source);
      continue;
    }
    to.push_back({node.source().begin.line, {name, plain_text(node)}});
  }
}

void read_settings(const fs::path& file, RunFolder& run) {
  run.toml = core::read_text(file, kSettingsBytesMax);
  try {
    std::vector<std::pair<std::uint32_t, Setting>> found;
    flatten(toml::parse(run.toml), "", found, 1, file.string());
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [line, setting] : found) run.settings.push_back(std::move(setting));
  } catch (const toml::parse_error& error) {
    core::fail(Kind::malformed, "{}: line {}: {}", file.string(), error.source().begin.line, error.description());
  }
}

void read_summary(const fs::path& file, RunFolder& run) {
  if (!fs::exists(file)) {
    run.remarks.push_back("There is no summary.json: the run is still going or was interrupted.");
    return;
  }
  const std::string text = core::read_text(file, kSettingsBytesMax);
  const nlohmann::json json = core::parse_json_object(std::as_bytes(std::span(text)), file.string());
  const JsonFields fields(json, file.string());
  run.ended = true;
  run.completed = fields.boolean("completed").value_or(true);
  run.why = fields.text("why").value_or("");
  run.parameters = fields.integer("parameters");
  if (!run.completed) run.remarks.push_back(fmt::format("The run ended early{}{}.", run.why.empty() ? "" : ": ", run.why));
}

std::string folder_name(const fs::path& folder) {
  const fs::path clean = folder.lexically_normal();
  return (clean.has_filename() ? clean : clean.parent_path()).filename().string();
}

}  // namespace

std::int64_t RoundLine::refusals() const {
  std::int64_t sum = 0;
  for (const auto& [reason, number] : refused) sum += number;
  return sum;
}

std::string RunFolder::setting(std::string_view key) const {
  for (const Setting& one : settings)
    if (one.key == key) return one.value;
  return "";
}

bool is_run_folder(const fs::path& folder) { return fs::exists(folder / "settings.toml") && fs::exists(folder / "metrics.jsonl"); }

RunFolder read_run(const fs::path& folder) {
  check(fs::is_directory(folder), Kind::missing, "{}: no such folder; a run folder is what train --out wrote", folder.string());
  RunFolder run;
  run.folder = folder;
  read_settings(folder / "settings.toml", run);
  read_metrics(folder / "metrics.jsonl", run);
  read_summary(folder / "summary.json", run);
  run.name = run.setting("name");
  if (run.name.empty()) run.name = folder_name(folder);
  run.label = run.name;
  return run;
}

std::vector<RunFolder> read_runs(std::span<const fs::path> folders) {
  std::vector<RunFolder> runs;
  std::map<std::string, int> names, labels;
  for (const fs::path& folder : folders) ++names[runs.emplace_back(read_run(folder)).name];
  for (RunFolder& run : runs) {
    if (names[run.name] > 1) run.label = folder_name(run.folder);
    if (const int nth = ++labels[run.label]; nth > 1) run.label += fmt::format(" ({})", nth);
  }
  return runs;
}

}  // namespace starling::tools

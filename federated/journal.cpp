#include "federated/journal.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/formats/safetensors.h"

namespace starling::federated {

using core::check;
using core::Kind;

namespace {

constexpr const char* kKey = "starling-journal";
constexpr int kVersion = 1;

/// Vectors that several tasks share are written once.
class Writer {
 public:
  std::string name(const Vector& vector) {
    if (!vector) return "";
    const auto [found, fresh] = names_.emplace(vector.get(), fmt::format("vector-{}", names_.size()));
    if (fresh) add(found->second, *vector);
    return found->second;
  }
  void add(const std::string& name, const std::vector<float>& values) {
    tensors_.push_back(core::outgoing_floats(name, {static_cast<std::int64_t>(values.size())}, values));
  }
  const std::vector<core::Outgoing>& tensors() const { return tensors_; }

 private:
  std::map<const void*, std::string> names_;
  std::vector<core::Outgoing> tensors_;
};

constexpr std::string_view kStrategy = "strategy.";

}  // namespace

void write_journal(const std::filesystem::path& file, const Journal& j) {
  Writer writer;
  nlohmann::json json{{"version", kVersion},
                      {"run", j.run},
                      {"round", j.server.round},
                      {"next_task", j.server.next_task},
                      {"next_timer", j.server.next_timer},
                      {"failed_rounds", j.server.failed_rounds},
                      {"model", writer.name(j.server.model)},
                      {"now", j.now},
                      {"kept", j.kept},
                      {"traffic", {j.traffic.down_payload, j.traffic.down_wire, j.traffic.up_payload, j.traffic.up_wire}},
                      {"tasks", nlohmann::json::array()}};
  for (const ServerSnapshot::Task& task : j.server.tasks) {
    nlohmann::json line{{"task", task.task}, {"client", task.client}, {"round", task.round}, {"model", writer.name(task.model)}, {"control", writer.name(task.control)}};
    if (const auto due = j.due.find(task.task); due != j.due.end()) line["due"] = {due->second.at, due->second.fails};
    json["tasks"].push_back(std::move(line));
  }
  for (const auto& [name, values] : j.strategy) writer.add(std::string(kStrategy) + name, values);
  core::write_safetensors(file, {{kKey, json.dump()}}, writer.tensors());
}

Journal read_journal(const std::filesystem::path& file) {
  const auto mapped = core::MappedFile::open(file);
  const std::string& source = mapped->name();
  const core::Safetensors decoded = core::decode_safetensors(mapped->bytes(), source);
  const auto text = decoded.metadata.find(kKey);
  check(text != decoded.metadata.end(), Kind::malformed, "{}: is no journal", source);
  Journal j;
  std::map<std::string, Vector> vectors;
  for (const core::SafetensorsEntry& entry : decoded.tensors) {
    std::vector<float> values = core::safetensors_floats(entry, mapped->bytes(), source);
    if (entry.name.starts_with(kStrategy))
      j.strategy[entry.name.substr(kStrategy.size())] = std::move(values);
    else
      vectors[entry.name] = std::make_shared<const std::vector<float>>(std::move(values));
  }
  const auto vector = [&](const nlohmann::json& name) -> Vector {
    const auto text_name = name.get<std::string>();
    if (text_name.empty()) return nullptr;
    const auto found = vectors.find(text_name);
    check(found != vectors.end(), Kind::malformed, "{}: no tensor {}", source, text_name);
    return found->second;
  };
  try {
    const auto json = nlohmann::json::parse(text->second);
    check(json.at("version") == kVersion, Kind::unsupported, "{}: is of version {}, this program reads {}", source, json.at("version").dump(), kVersion);
    j.run = json.at("run");
    j.server.round = json.at("round");
    j.server.next_task = json.at("next_task");
    j.server.next_timer = json.at("next_timer");
    j.server.failed_rounds = json.at("failed_rounds");
    j.server.model = vector(json.at("model"));
    j.now = json.at("now");
    j.kept = json.at("kept");
    const auto& traffic = json.at("traffic");
    j.traffic = {traffic.at(0), traffic.at(1), traffic.at(2), traffic.at(3)};
    for (const auto& line : json.at("tasks")) {
      const ServerSnapshot::Task task{line.at("task"), line.at("client"), line.at("round"), vector(line.at("model")), vector(line.at("control"))};
      if (line.contains("due")) j.due[task.task] = {line.at("due").at(0), line.at("due").at(1)};
      j.server.tasks.push_back(task);
    }
  } catch (const nlohmann::json::exception& error) {
    core::fail(Kind::malformed, "{}: {}", source, error.what());
  }
  check(j.server.model != nullptr && j.server.round > 0 && j.server.next_task > 0 && j.server.next_timer > 0, Kind::malformed,
        "{}: round {}, task {}, timer {}", source, j.server.round, j.server.next_task, j.server.next_timer);
  return j;
}

}  // namespace starling::federated

#include "federated/client_states.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "core/error.h"
#include "core/file.h"
#include "core/formats/safetensors.h"

namespace starling::federated {

using core::Kind;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kFolders = 1000;  // so that no folder holds a million files
constexpr std::string_view kEnding = ".state";

std::uint64_t bytes_of(const ClientState& state) {
  std::uint64_t bytes = 0;
  for (const auto& [name, values] : state.vectors) bytes += values.size() * sizeof(float);
  return bytes;
}

ClientState read(const fs::path& path) {
  const auto file = core::MappedFile::open(path);
  const core::Safetensors decoded = core::decode_safetensors(file->bytes(), file->name());
  ClientState state;
  for (const core::SafetensorsEntry& entry : decoded.tensors) state.vectors[entry.name] = core::safetensors_floats(entry, file->bytes(), file->name());
  return state;
}

/// "CLIENT-TASK.state".
std::pair<std::int64_t, std::int64_t> parse_name(const fs::path& path) {
  const std::string name = path.filename().string();
  std::int64_t client = -1, task = -1;
  const char* end = name.data() + name.size();
  const auto first = std::from_chars(name.data(), end, client);
  bool ok = first.ec == std::errc() && first.ptr != end && *first.ptr == '-';
  if (ok) {
    const auto second = std::from_chars(first.ptr + 1, end, task);
    ok = second.ec == std::errc() && std::string_view(second.ptr, static_cast<std::size_t>(end - second.ptr)) == kEnding;
  }
  core::check(ok && client >= 0 && task >= 0, Kind::malformed, "{}: is no client's state (CLIENT-TASK{})", path.string(), kEnding);
  return {client, task};
}

}  // namespace

ClientStates::ClientStates(fs::path folder, std::int64_t first_task, std::uint64_t memory_max) : folder_(std::move(folder)), memory_max_(memory_max) {
  if (folder_.empty()) return;
  fs::create_directories(folder_);
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder_)) {
    if (!entry.is_regular_file()) continue;
    if (entry.path().extension() == ".part") {  // half a file, of a process that was killed
      fs::remove(entry.path());
      continue;
    }
    const auto [client, task] = parse_name(entry.path());
    if (task >= first_task)
      fs::remove(entry.path());
    else
      versions_[client].push_back({task, {}});
  }
  for (auto& [client, versions] : versions_) std::sort(versions.begin(), versions.end(), [](const Version& a, const Version& b) { return a.task < b.task; });
}

ClientStates::~ClientStates() {
  std::error_code ignored;
  if (temporary_) fs::remove_all(folder_, ignored);
}

fs::path ClientStates::file(std::int64_t client, std::int64_t task) const {
  return folder_ / fmt::format("{:03}", client % kFolders) / fmt::format("{}-{}{}", client, task, kEnding);
}

void ClientStates::write(std::int64_t client, std::int64_t task, const ClientState& state) const {
  const fs::path path = file(client, task);
  fs::create_directories(path.parent_path());
  std::vector<core::Outgoing> tensors;
  for (const auto& [name, values] : state.vectors)
    tensors.push_back(core::outgoing_floats(name, {static_cast<std::int64_t>(values.size())}, values));
  core::write_safetensors(path, {}, tensors);
}

ClientState ClientStates::get(std::int64_t client, std::int64_t task) const {
  const std::lock_guard lock(mutex_);
  const auto found = versions_.find(client);
  if (found == versions_.end()) return {};
  const auto& versions = found->second;
  for (auto version = versions.rbegin(); version != versions.rend(); ++version)
    if (version->task < task) return folder_.empty() ? version->state : read(file(client, version->task));
  return {};
}

void ClientStates::put(std::int64_t client, std::int64_t task, ClientState state) {
  const std::lock_guard lock(mutex_);
  std::vector<Version>& versions = versions_[client];
  // Of what is older than any task to come only the newest can still be asked for.
  const auto kept = std::find_if(versions.rbegin(), versions.rend(), [&](const Version& v) { return v.task < oldest_; });
  if (kept != versions.rend()) {
    const auto first = std::prev(kept.base());
    for (auto old = versions.begin(); old != first; ++old) {
      memory_bytes_ -= bytes_of(old->state);
      if (!folder_.empty()) fs::remove(file(client, old->task));
    }
    versions.erase(versions.begin(), first);
  }
  core::ensure(versions.empty() || versions.back().task < task, "a client's tasks in order");
  if (!folder_.empty()) {
    write(client, task, state);
    versions.push_back({task, {}});
    return;
  }
  memory_bytes_ += bytes_of(state);
  versions.push_back({task, std::move(state)});
  if (memory_bytes_ > memory_max_) spill();
}

void ClientStates::forget_before(std::int64_t task) {
  const std::lock_guard lock(mutex_);
  oldest_ = std::max(oldest_, task);
}

void ClientStates::spill() {
  std::string name = (fs::temp_directory_path() / "starling-clients-XXXXXX").string();
  core::check(::mkdtemp(name.data()) != nullptr, Kind::refused, "{}: {}", name, core::last_error);
  folder_ = name;
  temporary_ = true;
  for (auto& [client, versions] : versions_)
    for (Version& version : versions) {
      write(client, version.task, version.state);
      version.state = {};
    }
  memory_bytes_ = 0;
}

}  // namespace starling::federated

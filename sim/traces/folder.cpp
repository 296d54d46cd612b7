#include "sim/traces/folder.h"

#include <algorithm>
#include <map>

#include "core/data/archive.h"
#include "core/error.h"

namespace starling::sim {
namespace {

namespace fs = std::filesystem;
using core::check;
using core::Kind;

constexpr std::uint64_t kTraceBytesMax = 64 << 20, kArchiveBytesMax = 256 << 20;
constexpr std::size_t kEntriesMax = 20'000;

std::string_view text_of(core::Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

void check_there(bool there, const fs::path& what, const char* origin) {
  check(there, Kind::missing, "{}: not there; it comes from {}; STARLING_DATA names the folder that holds the sets", what.string(), origin);
}

Capacity read_mahimahi(const fs::path& file) { return parse_mahimahi(text_of(core::read_packed(file, kTraceBytesMax)), file.string()); }

/// One result per file of a tar archive, by its name without folders.
template <class Result, class Parse>
std::map<std::string, Result> parse_archive(const fs::path& file, const char* origin, Parse parse) {
  check_there(fs::is_regular_file(file), file, origin);
  std::map<std::string, Result> found;
  core::read_archive(file, kEntriesMax, kArchiveBytesMax, [&](const std::string& name, core::Bytes bytes) {
    found.emplace(fs::path(name).filename().string(), parse(text_of(bytes), file.string() + ": " + name));
  });
  check(!found.empty(), Kind::malformed, "{}: expected at least one file in it", file.string());
  return found;
}

}  // namespace

std::vector<LinkTrace> load_mahimahi(const fs::path& folder) {
  const fs::path set = folder / "mahimahi-lte";
  std::map<std::string, fs::path> downs, ups;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(set, none)) {
    fs::path name = entry.path().filename();
    if (name.extension() == ".gz" || name.extension() == ".xz") name = name.stem();
    if (name.extension() == ".down") downs.emplace(name.stem().string(), entry.path());
    if (name.extension() == ".up") ups.emplace(name.stem().string(), entry.path());
  }
  check_there(!downs.empty(), set / "NAME.down", "github.com/ravinet/mahimahi, traces/");
  std::vector<LinkTrace> links;
  for (const auto& [name, down] : downs) {
    const auto up = ups.find(name);
    check(up != ups.end(), Kind::missing, "{}: expected {}.up beside it", down.string(), name);
    links.push_back({name, read_mahimahi(down), read_mahimahi(up->second)});
  }
  return links;
}

std::vector<LinkTrace> load_norway(const fs::path& folder) {
  const auto found = parse_archive<LinkTrace>(folder / "norway-3g/cooked_3gp.tar.gz", "github.com/confiwent/Real-world-bandwidth-traces",
                                              [](std::string_view text, const std::string& source) {
                                                return LinkTrace{source, parse_throughput(text, source), parse_throughput(text, source, 1.0 / 3)};
                                              });
  std::vector<LinkTrace> links;
  for (const auto& [name, link] : found) links.push_back({name, link.down, link.up});
  return links;
}

std::vector<Capacity> load_planetlab(const fs::path& folder) {
  const auto found = parse_archive<Capacity>(folder / "planetlab-cpu/20110303.tar.gz", "github.com/beloglazov/planetlab-workload-traces", parse_planetlab);
  std::vector<Capacity> loads;
  for (const auto& [name, load] : found) loads.push_back(load);
  return loads;
}

std::vector<Phone> load_phones(const fs::path& folder) {
  const fs::path file = folder / "phone-training-time/benchmark2score.json";
  check_there(fs::is_regular_file(file), file, "github.com/PKU-Chengxu/FLASH, models/utils/device_util");
  return parse_phones(text_of(core::read_packed(file, kTraceBytesMax)), file.string());
}

}  // namespace starling::sim

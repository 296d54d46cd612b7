// Activities of healthy older people with a batteryless sensor (Shinmoto Torres et al. 2016; UCI), room S1: readings at
// irregular times, a file for each trial of one person. An example is 16 readings that follow each other, its label the
// activity (on the bed, on the chair, lying, walking) of the last. A trial is an owner; one example of five is for testing.
#include <array>
#include <cmath>
#include <map>

#include "core/data/archive.h"
#include "core/data/dataset.h"
#include "core/data/files.h"
#include "core/data/owners.h"
#include "core/data/rows.h"
#include "core/error.h"

namespace starling::core {
namespace {

constexpr std::size_t kReadings = 16, kAntennas = 4;
/// Three accelerations, signal strength, log(1 + seconds since the reading before), a one for the antenna that heard it.
constexpr std::size_t kChannels = 5 + kAntennas;

/// "d1p01M": room, person, M or F.
bool is_trial(const std::string& name) { return name.size() == 6 && name[0] == 'd' && name[2] == 'p' && (name[5] == 'M' || name[5] == 'F'); }

/// Adds the windows of one trial; readings beyond the last whole one are left out.
void add_trial(std::string_view text, const std::string& source, Examples& to) {
  Rows rows(text, source);
  std::array<std::array<float, kReadings>, kChannels> window{};
  std::size_t filled = 0;
  float before = 0;
  while (rows.next()) {
    rows.expect_fields(9);
    const float seconds = rows.number(0, "time");
    for (std::size_t i = 0; i < 3; ++i) window[i][filled] = rows.number(1 + i, "acceleration");
    window[3][filled] = rows.number(5, "RSSI");
    window[4][filled] = std::log1p(std::max(0.0f, seconds - before));
    const auto antenna = static_cast<std::size_t>(rows.whole(4, "antenna", 1, kAntennas) - 1);
    for (std::size_t i = 0; i < kAntennas; ++i) window[5 + i][filled] = i == antenna ? 1 : 0;
    const std::int32_t label = rows.whole(8, "label", 1, 4) - 1;
    before = seconds;
    if (++filled < kReadings) continue;
    for (const auto& channel : window) to.values.insert(to.values.end(), channel.begin(), channel.end());
    to.labels.push_back(label);
    ++to.count;
    filled = 0;
  }
}

}  // namespace

Dataset load_elderly_har(const DatasetOptions& o) {
  constexpr std::size_t kEntriesMax = 1000;
  const auto file = find_data_file(o, "elderly-har", "S1_Dataset.tar",
                                   "archive.ics.uci.edu (Activity recognition with healthy older people using a batteryless wearable sensor)");
  std::map<std::string, std::string> trials;
  read_archive(file, kEntriesMax, kDataFileBytesMax, [&](const std::string& entry, Bytes bytes) {
    if (const std::string name = std::filesystem::path(entry).filename().string(); is_trial(name))
      trials[name] = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  });
  check(!trials.empty(), Kind::malformed, "{}: holds no trial (d1p01M and the like)", file.string());
  Examples all;
  all.values_each = static_cast<std::int64_t>(kChannels * kReadings);
  std::vector<std::int32_t> owners;
  std::int32_t trial = 0;
  for (const auto& [name, text] : trials) {
    add_trial(text, file.string() + ": " + name, all);
    owners.resize(static_cast<std::size_t>(all.count), trial++);
  }
  Dataset d;
  d.input = {static_cast<std::int64_t>(kChannels), static_cast<std::int64_t>(kReadings)};
  d.classes = 4;
  deal(d, all, owners, draw_tests(owners), o.train_max);
  standardise(d, static_cast<std::int64_t>(kReadings));
  return d;
}

}  // namespace starling::core

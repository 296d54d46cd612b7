// Simulated devices, procedural by client id: how fast they compute, how fast their link is, when they are there. Ten
// million of them take no memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "federated/server.h"
#include "sim/device_links.h"
#include "sim/presence.h"
#include "sim/profile_table.h"

namespace starling::sim {

struct Device {
  double ms_per_example = 40;  // of inference; training takes three times as long
  double down_bytes_per_s = 0, up_bytes_per_s = 0;  // 0: no time; of a recording: its mean
  double round_trip_s = 0;
};

/// What one task costs a device.
struct Load {
  std::int64_t steps = 0, batch = 0;
  double down_bytes = 0, up_bytes = 0;
};

/// FedScale's completion time: 3 * batch * steps * ms_per_example, spread by exp(N(0, jitter^2)), and the bytes. `draw`
/// is a standard normal number.
double task_seconds(const Device& device, const Load& load, double jitter, double draw);

struct DeviceOptions {
  std::string profile = "uniform";  // one of device_profiles()
  std::int64_t clients = 10;
  std::uint64_t seed = 1;
  double jitter = 0.1;
  double failure = 0;               // probability that a task ends without a reply
  double sigma = 0.9;               // of log-normal speeds
  std::string file;                 // of profile "file": profile_table.h
  std::string availability = "as-profile";  // or one of presence_kinds()
  double available = 0.5, on_s = 600, off_s = 1800;  // of availability bernoulli and markov
  bool dropout = false;             // a task that outlasts its device's stay fails when that ends
  std::string background = "none";  // or planetlab: other work on the device
  LinkOptions links;
  std::filesystem::path folder;     // that holds recordings; empty: as core::data_folder()
};

/// What becomes of a task.
struct Fate {
  federated::Seconds seconds = 0;  // from its beginning to its reply or failure
  bool fails = false;
};

class Devices final : public federated::Population {
 public:
  /// Kind::usage for an unknown profile or a value out of range, Kind::missing for recordings that are not there.
  explicit Devices(const DeviceOptions& options);

  std::int64_t size() const override { return options_.clients; }
  bool available(std::int64_t client, federated::Seconds now) const override;
  std::optional<federated::Seconds> next_change(federated::Seconds now) const override;

  Device device(std::int64_t client) const;
  /// When the stay of a client who is there ends; nullopt: never.
  std::optional<federated::Seconds> leaves(std::int64_t client, federated::Seconds now) const;
  /// Of task `round` of a client, begun `now`: how long it takes if the device stays, and whether it fails by itself.
  double seconds(std::int64_t client, std::int64_t round, const Load& load, federated::Seconds now) const;
  bool fails(std::int64_t client, std::int64_t round) const;
  /// Both, and with dropout the end of the device's stay.
  Fate task(std::int64_t client, std::int64_t round, const Load& load, federated::Seconds now) const;

 private:
  std::size_t row(std::int64_t client) const { return static_cast<std::size_t>(client) % table_->size(); }
  double ms_per_example(std::int64_t client) const;

  DeviceOptions options_;
  std::optional<DeviceLinks> links_;                // nullopt: the table's
  std::shared_ptr<const Presence> presence_;        // nullptr: the table's
  std::shared_ptr<const ProfileTable> table_;       // of profile "file"
  std::vector<double> phones_;                      // of profile "ai-benchmark": ms per example
  std::vector<Capacity> background_;
};

/// uniform: all alike. groups: a quarter 1.3 times as slow, a quarter 0.7 (FedAST). zipf: k times as slow, k from 1 to 20
/// with probabilities as k^-1.2. lognormal: speeds over two orders of magnitude (as AI-Benchmark's phones). phones: the
/// same, and there mostly at night, each by its own clock. ai-benchmark: so are these, with the speeds of real phones, the
/// middle one at 40 ms. file: what profile_table.h reads, from its beginning again for clients beyond its end. Where nothing
/// else is said, those before phones are always there, and uniform, groups and zipf have links that take no time, the
/// others log-normal ones.
std::vector<std::string_view> device_profiles();
std::vector<std::string_view> availabilities();

}  // namespace starling::sim

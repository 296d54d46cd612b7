// Simulated devices, procedural by client id: how fast they compute, how fast their link is, when they are there. Ten
// million of them take no memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "federated/server.h"

namespace starling::sim {

struct Device {
  double ms_per_example = 40;  // of inference; training takes three times as long
  double down_bytes_per_s = 0, up_bytes_per_s = 0;  // 0: no time
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
};

class Devices final : public federated::Population {
 public:
  /// Kind::usage for an unknown profile or a value out of range.
  explicit Devices(const DeviceOptions& options);

  std::int64_t size() const override { return options_.clients; }
  bool available(std::int64_t client, federated::Seconds now) const override;
  std::optional<federated::Seconds> next_change(federated::Seconds now) const override;

  Device device(std::int64_t client) const;
  /// Of task `round` of a client: how long it takes, and whether it fails.
  double seconds(std::int64_t client, std::int64_t round, const Load& load) const;
  bool fails(std::int64_t client, std::int64_t round) const;

 private:
  DeviceOptions options_;
  int profile_;
};

/// uniform: all alike, always there. groups: a quarter 1.3 times as slow, a quarter 0.7 (FedAST). lognormal: speeds over
/// two orders of magnitude (as AI-Benchmark's phones), links with a median of 600 kB/s, always there. phones: the same,
/// and there mostly at night, each by its own clock.
std::vector<std::string_view> device_profiles();

}  // namespace starling::sim

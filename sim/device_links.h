// The access links of simulated devices by name of a profile: one rate for each device, or a recording that each enters at
// a place of its own. Pure functions of client and time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "federated/server.h"
#include "sim/traces/folder.h"

namespace starling::sim {

struct LinkOptions {
  std::string profile = "as-devices";  // one of link_profiles()
  double up_mbit = 0, down_mbit = 0;   // uniform: the rate, lognormal: the median; 0: the profile's own
  double delay_ms = -1;                // one way; -1: the profile's own
};

struct LinkRates {
  double down_bytes_per_s = 0, up_bytes_per_s = 0;  // of a recording: its mean; 0: no time
  double round_trip_s = 0;
};

class DeviceLinks {
 public:
  /// Of a profile but as-devices. `folder` holds the recordings; `seed` decides who has which. Kind::usage for an unknown
  /// profile or a value that it has no use for, Kind::missing for recordings that are not there.
  DeviceLinks(const LinkOptions& options, std::uint64_t seed, const std::filesystem::path& folder);

  LinkRates rates(std::int64_t client) const;
  /// Whether the rates change with time.
  bool recorded() const { return !traces_.empty(); }
  /// Of a recording: when `bytes` that begin to move at `from` have passed, delays not counted.
  federated::Seconds down(std::int64_t client, federated::Seconds from, double bytes) const;
  federated::Seconds up(std::int64_t client, federated::Seconds from, double bytes) const;

 private:
  struct Place {
    const LinkTrace* trace;
    double ahead;  // by this share of its period
  };
  Place place(std::int64_t client) const;

  LinkOptions options_;
  std::uint64_t seed_;
  std::vector<LinkTrace> traces_;
};

/// The link profile that goes with the device profile.
inline constexpr std::string_view kLinksAsDevices = "as-devices";

/// as-devices: what the devices' profile says. uniform: one rate, by default no time at all. lognormal: a median of 600
/// kB/s down with sigma 1.1, a third of it up. mixed: WiFi, 4G and 3G in shares of 60, 30 and 10 % with medians of 2000,
/// 600 and 100 kB/s. lte: mahimahi's recordings. norway-3g: those of Riiser et al. All but uniform have a delay of 25 ms.
std::vector<std::string_view> link_profiles();

/// When `amount` that begins at `from` is through for one who is `ahead` of the recording by a share of its period.
federated::Seconds finish(const Capacity& capacity, double ahead, federated::Seconds from, double amount);

}  // namespace starling::sim

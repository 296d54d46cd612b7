#include "sim/devices.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/random_stream.h"

namespace starling::sim {

using core::Kind;
using federated::Seconds;

namespace {

constexpr std::array<std::string_view, 4> kProfiles{"uniform", "groups", "lognormal", "phones"};
constexpr double kHour = 3600, kDay = 24 * kHour;
constexpr Seconds kSession = 600;  // availability is drawn anew so often

core::RandomStream numbers(std::uint64_t seed, std::int64_t client, std::uint64_t what, std::uint64_t step = 0) {
  return {seed, core::Purpose::devices, {what, static_cast<std::uint64_t>(client), step}};
}

enum What : std::uint64_t { kSpeed = 1, kLink, kClock, kPresence, kDuration, kFailure };

}  // namespace

std::vector<std::string_view> device_profiles() { return {kProfiles.begin(), kProfiles.end()}; }

double task_seconds(const Device& d, const Load& load, double jitter, double draw) {
  const double compute = 3 * static_cast<double>(load.steps * load.batch) * d.ms_per_example / 1000 * std::exp(jitter * draw);
  const double down = d.down_bytes_per_s > 0 ? load.down_bytes / d.down_bytes_per_s : 0, up = d.up_bytes_per_s > 0 ? load.up_bytes / d.up_bytes_per_s : 0;
  return compute + d.round_trip_s + down + up;
}

Devices::Devices(const DeviceOptions& options) : options_(options), profile_(-1) {
  for (std::size_t i = 0; i < kProfiles.size(); ++i)
    if (kProfiles[i] == options.profile) profile_ = static_cast<int>(i);
  core::check(profile_ >= 0, Kind::usage, "device profile '{}' is unknown; known: {}", options.profile, fmt::join(kProfiles, " "));
  core::check(options.clients > 0 && options.jitter >= 0 && options.failure >= 0 && options.failure < 1, Kind::usage,
              "devices: clients = {}, jitter = {}, failure = {}", options.clients, options.jitter, options.failure);
}

Device Devices::device(std::int64_t client) const {
  Device d;
  if (profile_ == 0) return d;
  core::RandomStream speed = numbers(options_.seed, client, kSpeed), link = numbers(options_.seed, client, kLink);
  if (profile_ == 1) {
    const double u = speed.uniform();
    d.ms_per_example *= u < 0.25 ? 1.3 : u < 0.75 ? 1 : 0.7;
    return d;
  }
  d.ms_per_example = std::clamp(40 * std::exp(0.9 * speed.normal()), 5.0, 800.0);
  d.down_bytes_per_s = 600e3 * std::exp(1.1 * link.normal());
  d.up_bytes_per_s = d.down_bytes_per_s / 3;
  d.round_trip_s = 0.05;
  return d;
}

bool Devices::available(std::int64_t client, Seconds now) const {
  if (profile_ != 3) return true;
  const double zone = kDay * numbers(options_.seed, client, kClock).uniform();
  const double wave = std::max(0.0, std::sin(2 * std::numbers::pi * (now + zone) / kDay));
  const auto session = static_cast<std::uint64_t>(now / kSession);
  return numbers(options_.seed, client, kPresence, session).uniform() < 0.05 + 0.35 * wave * wave;
}

std::optional<Seconds> Devices::next_change(Seconds now) const {
  if (profile_ != 3) return std::nullopt;
  return (std::floor(now / kSession) + 1) * kSession;
}

double Devices::seconds(std::int64_t client, std::int64_t round, const Load& load) const {
  core::RandomStream random = numbers(options_.seed, client, kDuration, static_cast<std::uint64_t>(round));
  return task_seconds(device(client), load, options_.jitter, random.normal());
}

bool Devices::fails(std::int64_t client, std::int64_t round) const {
  return options_.failure > 0 && numbers(options_.seed, client, kFailure, static_cast<std::uint64_t>(round)).uniform() < options_.failure;
}

}  // namespace starling::sim

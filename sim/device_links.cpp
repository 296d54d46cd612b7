#include "sim/device_links.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "sim/device_numbers.h"

namespace starling::sim {

using core::check;
using core::Kind;
using federated::Seconds;

namespace {

constexpr std::array<std::string_view, 6> kLinkProfiles{kLinksAsDevices, "uniform", "lognormal", "mixed", "lte", "norway-3g"};
constexpr double kBytesPerMbit = 125e3;

}  // namespace

std::vector<std::string_view> link_profiles() { return {kLinkProfiles.begin(), kLinkProfiles.end()}; }

Seconds finish(const Capacity& capacity, double ahead, Seconds from, double amount) {
  constexpr Seconds kLast = 9e9;
  check(from < kLast, Kind::usage, "recordings reach {} s of virtual time, not {}", kLast, from);
  const auto shift = static_cast<Time::rep>(ahead * static_cast<double>(capacity.period().count()));
  const Time start(std::llround(from * 1e9) + shift);
  return from + static_cast<double>((capacity.finish(start, amount) - start).count()) / 1e9;
}

DeviceLinks::DeviceLinks(const LinkOptions& options, std::uint64_t seed, const std::filesystem::path& folder) : options_(options), seed_(seed) {
  const std::string& p = options.profile;
  check(p == "as-devices" || p == "uniform" || p == "lognormal" || p == "mixed" || p == "lte" || p == "norway-3g", Kind::usage,
        "link profile '{}' is unknown; known: {}", p, fmt::join(kLinkProfiles, " "));
  check(options.up_mbit >= 0 && options.down_mbit >= 0 && (options.delay_ms >= 0 || options.delay_ms == -1), Kind::usage,
        "links: up_mbit = {}, down_mbit = {}, delay_ms = {}", options.up_mbit, options.down_mbit, options.delay_ms);
  check(p == "uniform" || p == "lognormal" || (options.up_mbit == 0 && options.down_mbit == 0), Kind::usage,
        "links: profile '{}' has rates of its own; up_mbit and down_mbit are for uniform and lognormal", p);
  if (p == "lte") traces_ = load_mahimahi(folder);
  if (p == "norway-3g") traces_ = load_norway(folder);
}

DeviceLinks::Place DeviceLinks::place(std::int64_t client) const {
  core::RandomStream random = device_numbers(seed_, client, Draw::trace);
  const LinkTrace* trace = &traces_[random.below(traces_.size())];
  return {trace, random.uniform()};
}

LinkRates DeviceLinks::rates(std::int64_t client) const {
  const std::string& p = options_.profile;
  LinkRates r;
  r.round_trip_s = options_.delay_ms >= 0 ? 2 * options_.delay_ms / 1000 : p == "uniform" ? 0 : 0.05;
  const double down = options_.down_mbit * kBytesPerMbit, up = options_.up_mbit * kBytesPerMbit;
  if (p == "uniform") {
    r.down_bytes_per_s = down;
    r.up_bytes_per_s = up;
  } else if (!traces_.empty()) {
    const Place at = place(client);
    r.down_bytes_per_s = at.trace->down.mean_per_second();
    r.up_bytes_per_s = at.trace->up.mean_per_second();
  } else {
    constexpr double kSigma = 1.1;
    core::RandomStream random = device_numbers(seed_, client, Draw::link);
    const double factor = log_normal(random, 1, kSigma), u = random.uniform();
    const double median = p == "mixed" ? (u < 0.6 ? 2000e3 : u < 0.9 ? 600e3 : 100e3) : down > 0 ? down : 600e3;
    r.down_bytes_per_s = median * factor;
    r.up_bytes_per_s = up > 0 ? up * factor : r.down_bytes_per_s / 3;
  }
  return r;
}

Seconds DeviceLinks::down(std::int64_t client, Seconds from, double bytes) const {
  const Place at = place(client);
  return finish(at.trace->down, at.ahead, from, bytes);
}

Seconds DeviceLinks::up(std::int64_t client, Seconds from, double bytes) const {
  const Place at = place(client);
  return finish(at.trace->up, at.ahead, from, bytes);
}

}  // namespace starling::sim

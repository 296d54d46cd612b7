#include "sim/devices.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/data/dataset.h"
#include "core/error.h"
#include "sim/device_numbers.h"

namespace starling::sim {

using core::check;
using core::Kind;
using federated::Seconds;

namespace {

struct Profile {
  std::string_view name, availability, links;
};
constexpr std::array<Profile, 7> kProfiles{{{"uniform", "always", "uniform"},
                                            {"groups", "always", "uniform"},
                                            {"lognormal", "always", "lognormal"},
                                            {"phones", "diurnal", "lognormal"},
                                            {"zipf", "always", "uniform"},
                                            {"ai-benchmark", "diurnal", "lognormal"},
                                            {"file", "", ""}}};
constexpr double kMedianMs = 40;
constexpr std::string_view kAsProfile = "as-profile";

const Profile& find_profile(const std::string& name) {
  for (const Profile& p : kProfiles)
    if (p.name == name) return p;
  core::fail(Kind::usage, "device profile '{}' is unknown; known: {}", name, fmt::join(device_profiles(), " "));
}

/// How many times as slow as the fastest, 1 to 20, with probabilities as k^-1.2.
int zipf(double u) {
  constexpr int kSlowest = 20;
  constexpr double kExponent = 1.2;
  double sum = 0;
  for (int k = 1; k <= kSlowest; ++k) sum += std::pow(k, -kExponent);
  int k = 1;
  for (u *= sum; k < kSlowest && u >= std::pow(k, -kExponent); ++k) u -= std::pow(k, -kExponent);
  return k;
}

/// The milliseconds of real phones: inverse to their scores, the median phone at kMedianMs.
std::vector<double> phone_speeds(const std::vector<Phone>& phones) {
  std::vector<double> scores;
  for (const Phone& p : phones) scores.push_back(p.score);
  std::sort(scores.begin(), scores.end());
  const double median = (scores[(scores.size() - 1) / 2] + scores[scores.size() / 2]) / 2;
  for (double& s : scores) s = kMedianMs * median / s;
  return scores;
}

double compute_seconds(const Device& d, const Load& load, double jitter, double draw) {
  return 3 * static_cast<double>(load.steps * load.batch) * d.ms_per_example / 1000 * std::exp(jitter * draw);
}

}  // namespace

std::vector<std::string_view> device_profiles() {
  std::vector<std::string_view> names;
  for (const Profile& p : kProfiles) names.push_back(p.name);
  return names;
}

std::vector<std::string_view> availabilities() {
  std::vector<std::string_view> names{kAsProfile};
  for (const std::string_view kind : presence_kinds()) names.push_back(kind);
  return names;
}

double task_seconds(const Device& d, const Load& load, double jitter, double draw) {
  const double down = d.down_bytes_per_s > 0 ? load.down_bytes / d.down_bytes_per_s : 0, up = d.up_bytes_per_s > 0 ? load.up_bytes / d.up_bytes_per_s : 0;
  return compute_seconds(d, load, jitter, draw) + d.round_trip_s + down + up;
}

Devices::Devices(const DeviceOptions& options) : options_(options) {
  const Profile& profile = find_profile(options.profile);
  check(options.clients > 0 && options.jitter >= 0 && options.failure >= 0 && options.failure < 1 && options.sigma >= 0, Kind::usage,
        "devices: clients = {}, jitter = {}, failure = {}, sigma = {}", options.clients, options.jitter, options.failure, options.sigma);
  const bool from_file = options.profile == "file";
  check(from_file == !options.file.empty(), Kind::usage, "devices: profile = '{}', file = '{}'; profile file needs a file, the others have no use for one",
        options.profile, options.file);
  check(options.background == "none" || options.background == "planetlab", Kind::usage, "devices: background '{}' is unknown; known: none planetlab",
        options.background);
  if (from_file) table_ = std::make_shared<const ProfileTable>(ProfileTable::load(options.file));
  LinkOptions links = options.links;
  if (links.profile == kLinksAsDevices) links.profile = profile.links;
  const bool recorded = links.profile == "lte" || links.profile == "norway-3g" || options.background == "planetlab" || options.profile == "ai-benchmark";
  const std::filesystem::path folder = recorded && options.folder.empty() ? core::data_folder() : options.folder;
  if (!links.profile.empty()) links_.emplace(links, options.seed, folder);
  const std::string kind = options.availability == kAsProfile ? std::string(profile.availability) : options.availability;
  if (!kind.empty()) presence_ = make_presence({kind, options.available, options.on_s, options.off_s, options.seed});
  if (options.profile == "ai-benchmark") phones_ = phone_speeds(load_phones(folder));
  if (options.background == "planetlab") background_ = load_planetlab(folder);
}

double Devices::ms_per_example(std::int64_t client) const {
  core::RandomStream speed = device_numbers(options_.seed, client, Draw::speed);
  if (table_) return table_->ms_per_example(row(client));
  if (!phones_.empty()) return phones_[speed.below(phones_.size())];
  if (options_.profile == "uniform") return kMedianMs;
  if (options_.profile == "zipf") return kMedianMs * zipf(speed.uniform());
  if (options_.profile == "groups") {
    const double u = speed.uniform();
    return kMedianMs * (u < 0.25 ? 1.3 : u < 0.75 ? 1 : 0.7);
  }
  return std::clamp(log_normal(speed, kMedianMs, options_.sigma), 5.0, 800.0);
}

Device Devices::device(std::int64_t client) const {
  Device d;
  d.ms_per_example = ms_per_example(client);
  if (links_) {
    const LinkRates rates = links_->rates(client);
    d.down_bytes_per_s = rates.down_bytes_per_s;
    d.up_bytes_per_s = rates.up_bytes_per_s;
    d.round_trip_s = rates.round_trip_s;
  } else {
    d.down_bytes_per_s = table_->down_bytes_per_s(row(client));
    d.up_bytes_per_s = table_->up_bytes_per_s(row(client));
  }
  return d;
}

bool Devices::available(std::int64_t client, Seconds now) const { return presence_ ? presence_->there(client, now) : table_->intervals(row(client)).inside(now); }

std::optional<Seconds> Devices::leaves(std::int64_t client, Seconds now) const {
  return presence_ ? presence_->leaves(client, now) : table_->intervals(row(client)).leaves(now);
}

std::optional<Seconds> Devices::next_change(Seconds now) const {
  if (presence_) return presence_->next_change(now);
  std::optional<Seconds> first;
  for (std::size_t r = 0; r < std::min(table_->size(), static_cast<std::size_t>(options_.clients)); ++r)
    if (const auto comes = table_->intervals(r).comes(now); comes && (!first || *comes < *first)) first = comes;
  return first;
}

double Devices::seconds(std::int64_t client, std::int64_t round, const Load& load, Seconds now) const {
  core::RandomStream random = device_numbers(options_.seed, client, Draw::duration, static_cast<std::uint64_t>(round));
  const Device d = device(client);
  const double draw = random.normal();
  const bool recorded_link = links_ && links_->recorded();
  if (!recorded_link && background_.empty()) return task_seconds(d, load, options_.jitter, draw);
  Seconds at = now + d.round_trip_s / 2;
  const auto move = [&](double bytes, double rate) { return rate > 0 ? at + bytes / rate : at; };
  at = recorded_link ? links_->down(client, at, load.down_bytes) : move(load.down_bytes, d.down_bytes_per_s);
  const double compute = compute_seconds(d, load, options_.jitter, draw);
  if (background_.empty()) {
    at += compute;
  } else {
    core::RandomStream machine = device_numbers(options_.seed, client, Draw::load);
    const Capacity& capacity = background_[machine.below(background_.size())];
    at = finish(capacity, machine.uniform(), at, compute);
  }
  at = recorded_link ? links_->up(client, at, load.up_bytes) : move(load.up_bytes, d.up_bytes_per_s);
  return at + d.round_trip_s / 2 - now;
}

bool Devices::fails(std::int64_t client, std::int64_t round) const {
  const double own = table_ ? table_->failure(row(client)) : 0, either = options_.failure + own - options_.failure * own;
  return either > 0 && device_numbers(options_.seed, client, Draw::failure, static_cast<std::uint64_t>(round)).uniform() < either;
}

Fate Devices::task(std::int64_t client, std::int64_t round, const Load& load, Seconds now) const {
  const Fate fate{seconds(client, round, load, now), fails(client, round)};
  const std::optional<Seconds> end = options_.dropout ? leaves(client, now) : std::nullopt;
  return end && *end < now + fate.seconds ? Fate{*end - now, true} : fate;
}

}  // namespace starling::sim

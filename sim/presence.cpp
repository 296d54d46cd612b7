#include "sim/presence.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "sim/device_numbers.h"

namespace starling::sim {

using core::Kind;
using federated::Seconds;

namespace {

constexpr Seconds kDay = 86'400, kWeek = 7 * kDay;

class Always final : public Presence {
 public:
  bool there(std::int64_t, Seconds) const override { return true; }
  std::optional<Seconds> leaves(std::int64_t, Seconds) const override { return std::nullopt; }
  std::optional<Seconds> next_change(Seconds) const override { return std::nullopt; }
};

/// Drawn anew for every window of ten minutes, by a share that is that of the window's beginning.
class Windows final : public Presence {
 public:
  Windows(std::uint64_t seed, std::optional<double> share) : seed_(seed), share_(share) {}

  bool there(std::int64_t client, Seconds now) const override { return in(client, std::floor(now / kWindow)); }
  std::optional<Seconds> leaves(std::int64_t client, Seconds now) const override {
    if (!there(client, now)) return now;
    double window = std::floor(now / kWindow) + 1;
    while (window * kWindow < now + kWeek && in(client, window)) ++window;
    return window * kWindow;
  }
  std::optional<Seconds> next_change(Seconds now) const override { return (std::floor(now / kWindow) + 1) * kWindow; }

 private:
  static constexpr Seconds kWindow = 600;

  bool in(std::int64_t client, double window) const {
    const double share = share_ ? *share_ : diurnal_share(window * kWindow + kDay * device_numbers(seed_, client, Draw::clock).uniform());
    return device_numbers(seed_, client, Draw::presence, static_cast<std::uint64_t>(window)).uniform() < share;
  }

  std::uint64_t seed_;
  std::optional<double> share_;  // nullopt: by the time of day
};

/// Alternating exponential lengths. So that any time can be looked up without those before it, the chain is drawn anew
/// from its stationary state at the beginning of every epoch of some cycles.
class Markov final : public Presence {
 public:
  Markov(std::uint64_t seed, double on, double off) : seed_(seed), on_(on), off_(off), epoch_(std::ceil(kCycles * (on + off))) {}

  bool there(std::int64_t client, Seconds now) const override { return at(client, now).on; }
  std::optional<Seconds> leaves(std::int64_t client, Seconds now) const override {
    Stretch stretch = at(client, now);
    if (!stretch.on) return now;
    while (stretch.end < now + kWeek) {
      const Stretch next = at(client, stretch.end);
      if (!next.on) break;
      stretch = next;
    }
    return stretch.end;
  }
  std::optional<Seconds> next_change(Seconds now) const override { return std::floor(now) + 1; }

 private:
  static constexpr double kCycles = 8;
  struct Stretch {
    bool on;
    Seconds end;
  };

  Stretch at(std::int64_t client, Seconds now) const {
    const double epoch = std::floor(now / epoch_);
    core::RandomStream random = device_numbers(seed_, client, Draw::presence, static_cast<std::uint64_t>(epoch));
    Stretch stretch{random.uniform() * (on_ + off_) < on_, epoch * epoch_};
    for (;; stretch.on = !stretch.on) {
      stretch.end += std::max(1.0, std::round(-std::log(1 - random.uniform()) * (stretch.on ? on_ : off_)));
      if (stretch.end > now) return {stretch.on, std::min(stretch.end, (epoch + 1) * epoch_)};
    }
  }

  std::uint64_t seed_;
  double on_, off_;
  Seconds epoch_;
};

constexpr std::array<std::string_view, 4> kKinds{"always", "bernoulli", "diurnal", "markov"};

}  // namespace

double diurnal_share(Seconds seconds) {
  const double wave = std::max(0.0, std::sin(2 * std::numbers::pi * seconds / kDay));
  return 0.05 + 0.35 * wave * wave;
}

std::vector<std::string_view> presence_kinds() { return {kKinds.begin(), kKinds.end()}; }

std::shared_ptr<const Presence> make_presence(const PresenceOptions& o) {
  core::check(o.share > 0 && o.share <= 1, Kind::usage, "devices: available = {}, expected above 0, at most 1", o.share);
  core::check(o.on_s >= 1 && o.off_s >= 1 && o.on_s <= kWeek && o.off_s <= kWeek, Kind::usage, "devices: on_s = {}, off_s = {}, expected 1 to {}", o.on_s,
              o.off_s, kWeek);
  if (o.kind == "always") return std::make_shared<Always>();
  if (o.kind == "bernoulli") return std::make_shared<Windows>(o.seed, o.share);
  if (o.kind == "diurnal") return std::make_shared<Windows>(o.seed, std::nullopt);
  if (o.kind == "markov") return std::make_shared<Markov>(o.seed, o.on_s, o.off_s);
  core::fail(Kind::usage, "devices: availability '{}' is unknown; known: {}", o.kind, fmt::join(kKinds, " "));
}

}  // namespace starling::sim

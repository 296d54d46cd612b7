#include "federated/attack.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <set>

#include "core/error.h"
#include "core/random_stream.h"

namespace starling::federated {

using core::check;
using core::Kind;

namespace {

struct Entry {
  std::string_view name;
  double scale;  // where none is given; 0: there is none
  bool seen;
};
constexpr std::array<Entry, 11> kKinds{{{"none", 0, false},
                                        {"sign-flip", 1, false},
                                        {"scaled", 10, false},
                                        {"gauss", 10, true},
                                        {"same-value", 1, false},
                                        {"zero", 0, false},
                                        {"label-flip", 0, false},
                                        {"alie", 0, true},
                                        {"ipm", 0.5, true},
                                        {"nan", 0, false},
                                        {"shape", 0, false}}};

const Entry* find(const std::string& kind) {
  const auto found = std::find_if(kKinds.begin(), kKinds.end(), [&](const Entry& e) { return e.name == kind; });
  return found == kKinds.end() ? nullptr : &*found;
}

enum Stream : std::uint64_t { kChoice = 1, kNoise };

/// `count` of `all`, each set of them as likely as any other (Floyd; Bentley 1987), ascending.
std::vector<std::int64_t> choose(std::int64_t count, std::int64_t all, std::uint64_t seed) {
  core::RandomStream random(seed, core::Purpose::attack, {0, 0, kChoice});
  std::set<std::int64_t> chosen;
  for (std::int64_t j = all - count; j < all; ++j) {
    const auto drawn = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(j) + 1));
    if (!chosen.insert(drawn).second) chosen.insert(j);
  }
  return {chosen.begin(), chosen.end()};
}

struct Moments {
  double mean, deviation;
};

/// Of value i over the models seen.
Moments moments(const Seen& seen, std::size_t i) {
  const auto n = static_cast<double>(seen.models.size());
  double sum = 0, squares = 0;
  for (const auto& m : seen.models) sum += static_cast<double>(m[i]);
  const double mean = sum / n;
  for (const auto& m : seen.models) squares += (static_cast<double>(m[i]) - mean) * (static_cast<double>(m[i]) - mean);
  return {mean, std::sqrt(squares / n)};
}

double normal_quantile(double p) {
  double low = -10, high = 10;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::numbers::sqrt2) / 2 < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

std::vector<std::string_view> attack_kinds() {
  std::vector<std::string_view> names;
  for (const Entry& e : kKinds) names.push_back(e.name);
  return names;
}

double alie_deviations(std::int64_t m, std::int64_t f) {
  check(f > 0 && f < m, Kind::usage, "alie: {} hostile replies of {}, expected above 0 and below all", f, m);
  const double share = static_cast<double>(m - (m / 2 + 1)) / static_cast<double>(m - f);
  constexpr double kMost = 3;
  return share >= 1 ? kMost : std::clamp(normal_quantile(share), 0.0, kMost);
}

Attack::Attack(const AttackOptions& options, std::int64_t clients) : options_(options) {
  const Entry* entry = find(options.kind);
  check(entry != nullptr, Kind::usage, "attack '{}' is unknown; known: {}", options.kind, fmt::join(attack_kinds(), " "));
  check(options.scale >= 0 && options.inflation > 0, Kind::usage, "attack: scale = {}, inflation = {}", options.scale, options.inflation);
  check(options.scale == 0 || entry->scale > 0 || options.kind == "alie", Kind::usage, "attack: {} has no use for scale = {}", options.kind, options.scale);
  const bool possible = options.clients >= 0 && options.clients <= static_cast<double>(clients) && (options.clients < 1 || options.clients == std::floor(options.clients));
  check(possible, Kind::usage, "attack: clients = {}, expected a share below 1 or a whole number up to the {} there are", options.clients, clients);
  const double count = options.clients < 1 ? std::round(options.clients * static_cast<double>(clients)) : options.clients;
  if (options_.scale == 0) options_.scale = entry->scale;
  hostile_ = choose(static_cast<std::int64_t>(count), clients, options.seed);
}

bool Attack::hostile(std::int64_t client) const { return std::binary_search(hostile_.begin(), hostile_.end(), client); }

bool Attack::needs_seen() const { return !hostile_.empty() && find(options_.kind)->seen; }

void Attack::poison(const core::Partition& parts, std::int64_t classes, Examples& train) const {
  if (options_.kind != "label-flip") return;
  for (const std::int64_t client : hostile_) {
    for (const std::uint32_t example : parts.at(static_cast<std::size_t>(client))) {
      const auto begin = train.labels.begin() + static_cast<std::ptrdiff_t>(example) * train.labels_each;
      for (auto label = begin; label != begin + train.labels_each; ++label)
        if (*label >= 0) *label = static_cast<std::int32_t>(classes) - 1 - *label;
    }
  }
}

void Attack::apply(std::int64_t client, std::int64_t round, std::span<const float> start, LocalResult& result, const Seen& seen) const {
  if (!hostile(client)) return;
  change(client, round, start, result.model, seen);
  result.examples = std::llround(static_cast<double>(result.examples) * options_.inflation);
}

void Attack::apply(std::int64_t round, std::span<const float> start, TaskReply& reply, const Seen& seen) const {
  if (!hostile(reply.client)) return;
  change(reply.client, round, start, reply.model, seen);
  reply.examples = std::round(reply.examples * options_.inflation);
}

void Attack::change(std::int64_t client, std::int64_t round, std::span<const float> start, std::vector<float>& y, const Seen& seen) const {
  const std::string& kind = options_.kind;
  core::ensure(y.size() == start.size() && !y.empty(), "an attack on a model of another size");
  if (needs_seen() && seen.models.empty()) return;
  for (const auto& m : seen.models) core::ensure(m.size() == y.size(), "an attack that has seen models of another size");
  const double s = kind == "alie" && options_.scale == 0 ? alie_deviations(seen.clients, seen.hostile) : options_.scale;
  const auto each = [&](auto f) {
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = static_cast<float>(f(i, static_cast<double>(start[i])));
  };
  const auto way = [&](std::size_t i, double x) { return static_cast<double>(y[i]) - x; };
  core::RandomStream noise(options_.seed, core::Purpose::attack, {static_cast<std::uint64_t>(round), static_cast<std::uint64_t>(client), kNoise});
  if (kind == "sign-flip") each([&](std::size_t i, double x) { return x - s * way(i, x); });
  if (kind == "scaled") each([&](std::size_t i, double x) { return x + s * way(i, x); });
  if (kind == "gauss") each([&](std::size_t i, double x) { return x + s * moments(seen, i).deviation * noise.normal(); });
  if (kind == "same-value") each([&](std::size_t, double x) { return x + s; });
  if (kind == "zero") y.assign(start.begin(), start.end());
  if (kind == "alie")
    each([&](std::size_t i, double) {
      const Moments m = moments(seen, i);
      return m.mean - s * m.deviation;
    });
  if (kind == "ipm") each([&](std::size_t i, double x) { return x - s * (moments(seen, i).mean - x); });
  if (kind == "nan") y.front() = std::numeric_limits<float>::quiet_NaN();
  if (kind == "shape") y.pop_back();
}

}  // namespace starling::federated

#include "sim/intervals.h"

#include <algorithm>
#include <cmath>

namespace starling::sim {

using federated::Seconds;

namespace {

std::int64_t us(std::uint32_t ms) { return std::int64_t{ms} * 1000; }
std::int64_t us(Seconds s) { return std::llround(s * 1e6); }

/// The first stay that begins after a phase.
auto next_after(std::span<const Stay> stays, std::int64_t phase_us) {
  return std::upper_bound(stays.begin(), stays.end(), phase_us, [](std::int64_t phase, const Stay& s) { return phase < us(s.begin_ms); });
}

}  // namespace

std::int64_t Intervals::phase_us(Seconds now) const { return us(now) % us(period_ms); }

std::size_t Intervals::at(std::int64_t phase_us) const {
  const auto later = next_after(stays, phase_us);
  if (later == stays.begin()) return stays.size();
  const auto found = std::prev(later);
  return phase_us <= us(found->end_ms) ? static_cast<std::size_t>(found - stays.begin()) : stays.size();
}

bool Intervals::inside(Seconds now) const { return stays.empty() || at(phase_us(now)) < stays.size(); }

std::optional<Seconds> Intervals::leaves(Seconds now) const {
  if (stays.empty()) return std::nullopt;
  std::size_t i = at(phase_us(now));
  if (i == stays.size()) return now;
  std::int64_t base = us(now) - phase_us(now);
  for (std::size_t steps = 0; steps < stays.size(); ++steps) {
    const bool last = i + 1 == stays.size();
    const bool touches = last ? stays[i].end_ms == period_ms && stays.front().begin_ms == 0 : stays[i + 1].begin_ms == stays[i].end_ms;
    if (!touches) return std::max(now, static_cast<double>(base + us(stays[i].end_ms)) / 1e6);
    if (last) base += us(period_ms);
    i = last ? 0 : i + 1;
  }
  return std::nullopt;
}

std::optional<Seconds> Intervals::comes(Seconds now) const {
  if (stays.empty()) return std::nullopt;
  const auto later = next_after(stays, phase_us(now));
  const std::int64_t begin = later != stays.end() ? us(later->begin_ms) : us(period_ms) + us(stays.front().begin_ms);
  return static_cast<double>(us(now) - phase_us(now) + begin) / 1e6;
}

}  // namespace starling::sim

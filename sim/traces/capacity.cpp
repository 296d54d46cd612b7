#include "sim/traces/capacity.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace starling::sim {

using core::Kind;

Capacity::Capacity(std::vector<Time> times, std::vector<double> sums, bool steps) : times_(std::move(times)), sums_(std::move(sums)), steps_(steps) {
  core::check(!times_.empty() && times_.back() > Time(0) && sums_.back() > 0 && std::isfinite(sums_.back()), Kind::malformed,
              "a trace that lasts no time or lets nothing through");
}

Capacity Capacity::opportunities(const std::vector<Time>& at, double each) {
  std::vector<Time> times;
  std::vector<double> sums;
  for (std::size_t i = 0; i < at.size(); ++i) {
    core::check(at[i] >= (i > 0 ? at[i - 1] : Time(0)), Kind::malformed, "opportunity {} is before the one that precedes it", i);
    if (times.empty() || at[i] > times.back()) {
      times.push_back(at[i]);
      sums.emplace_back();
    }
    sums.back() = static_cast<double>(i + 1) * each;
  }
  return {std::move(times), std::move(sums), true};
}

Capacity Capacity::rates(std::vector<Time> ends, const std::vector<double>& rates) {
  core::ensure(ends.size() == rates.size(), "as many rates as ends");
  std::vector<double> sums;
  double sum = 0;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const Time begin = i > 0 ? ends[i - 1] : Time(0);
    core::check(ends[i] > begin && rates[i] >= 0, Kind::malformed, "rate {} is {} and ends {} ns after the one before", i, rates[i], (ends[i] - begin).count());
    sums.push_back(sum += rates[i] * static_cast<double>((ends[i] - begin).count()) / 1e9);
  }
  return {std::move(ends), std::move(sums), false};
}

double Capacity::before(Time phase) const {
  const auto i = static_cast<std::size_t>(std::lower_bound(times_.begin(), times_.end(), phase) - times_.begin());
  const double low = i > 0 ? sums_[i - 1] : 0;
  if (steps_) return low;
  const Time begin = i > 0 ? times_[i - 1] : Time(0);
  return low + (sums_[i] - low) * (static_cast<double>((phase - begin).count()) / static_cast<double>((times_[i] - begin).count()));
}

Time Capacity::first(double amount) const {
  const auto i = static_cast<std::size_t>(std::lower_bound(sums_.begin(), sums_.end(), amount) - sums_.begin());
  if (steps_) return times_[i];
  const double low = i > 0 ? sums_[i - 1] : 0;
  const Time begin = i > 0 ? times_[i - 1] : Time(0);
  const double share = (amount - low) / (sums_[i] - low);
  constexpr double kNoise = 1e-3;  // of a nanosecond: what rounding may have added
  return std::min(times_[i], begin + Time(static_cast<Time::rep>(std::ceil(share * static_cast<double>((times_[i] - begin).count()) - kNoise))));
}

Time Capacity::finish(Time start, double amount) const {
  core::ensure(start >= Time(0) && amount >= 0 && std::isfinite(amount), "an amount that begins before time does");
  if (amount == 0) return start;
  // The moment where two repetitions meet counts as the end of the first: what comes then comes after it all the same.
  Time::rep repetition = start.count() / period().count();
  Time phase = start - repetition * period();
  if (phase == Time(0) && repetition > 0) {
    --repetition;
    phase = period();
  }
  const double target = (phase > Time(0) ? before(phase) : 0) + amount, whole = sums_.back();
  double rest = std::fmod(target, whole), more = std::round((target - rest) / whole);
  if (rest == 0) {
    rest = whole;
    more -= 1;
  }
  constexpr double kLast = 9e18;
  core::check((static_cast<double>(repetition) + more + 1) * static_cast<double>(period().count()) < kLast, Kind::usage,
              "a link or processor that needs more than {:.0f} years for one task", kLast / 1e9 / (365 * 86400.0));
  // Rounding may find the first instant before the start.
  return std::max(start, (repetition + static_cast<Time::rep>(more)) * period() + first(rest));
}

}  // namespace starling::sim

#include "tools/report/axis.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "tools/report/text.h"

namespace starling::tools {
namespace {

constexpr double kRounding = 1e-9;  // of a step: what is this near to a mark is on it

double round_step(double span, int count_max, bool whole) {
  const double least = span / std::max(count_max, 1);
  const double power = std::pow(10, std::floor(std::log10(least)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * power >= least * (1 - kRounding)) step = factor * power;
  return whole ? std::max(step, 1.0) : step;
}

/// A stretch that has a length and whose neighbouring marks are different numbers.
double span_of(double low, double high) {
  const double span = high - low, least = std::max(std::abs(low), std::abs(high)) * 1e-9;
  return span > least && std::isfinite(span) ? span : std::max(1.0, least);
}

Ticks multiples(double low, double high, double step) {
  Ticks marks{{}, step};
  const double last = std::floor(high / step + kRounding);
  for (double i = std::ceil(low / step - kRounding); i <= last; ++i) marks.values.push_back(i * step);
  return marks;
}

Unit largest(double high, std::initializer_list<Unit> units) {
  Unit best = *units.begin();
  for (const Unit& unit : units)
    if (high >= unit.size) best = unit;
  return best;
}

}  // namespace

double Scale::operator()(double value) const {
  const auto place = [&](double v) { return logarithmic ? std::log10(v) : v; };
  const double length = place(high) - place(low);
  return length == 0 ? from : from + (place(value) - place(low)) / length * (to - from);
}

Ticks ticks(double low, double high, int count_max, bool whole) {
  const double span = span_of(low, high);
  return multiples(low, low + span, round_step(span, count_max, whole));
}

Ticks logarithmic_ticks(double low, double high, int count_max) {
  Ticks marks;
  const auto gather = [&](std::initializer_list<double> factors, double every) {
    marks.values.clear();
    for (double power = std::floor(std::log10(low)); power <= std::log10(high); ++power)
      for (const double factor : factors)
        if (const double v = factor * std::pow(10, power); std::fmod(power, every) == 0 && v >= low * (1 - kRounding) && v <= high * (1 + kRounding))
          marks.values.push_back(v);
    return static_cast<int>(marks.values.size()) <= count_max + 1;
  };
  if (gather({1, 2, 5}, 1)) return marks;
  for (double every = 1; !gather({1}, every); ++every) {
  }
  return marks;
}

Ticks covering_ticks(double& low, double& high, int count_max) {
  const double span = span_of(low, high), step = round_step(span, count_max, false), end = low + span;
  low = std::floor(low / step + kRounding) * step;
  high = std::ceil(end / step - kRounding) * step;
  return multiples(low, high, step);
}

std::string tick_label(double value, double step) {
  if (step == 0) return std::abs(value) < 1e6 ? fmt::format("{:g}", value) : fmt::format("{:.0e}", value);
  if (std::abs(value) < step / 2) value = 0;
  if (step >= 1e-4 && step < 1e9) {
    const int digits = static_cast<int>(std::max(0.0, std::ceil(-std::log10(step) - kRounding)));
    return digits == 0 ? grouped(std::llround(value)) : fmt::format("{:.{}f}", value, digits);
  }
  const int digits = value == 0 ? 1 : 1 + static_cast<int>(std::ceil(std::log10(std::abs(value) / step)));
  return fmt::format("{:.{}g}", value, digits);
}

Unit byte_unit(double high) { return largest(high, {{1, "B"}, {1e3, "kB"}, {1e6, "MB"}, {1e9, "GB"}, {1e12, "TB"}, {1e15, "PB"}}); }
Unit time_unit(double high) {
  constexpr double kMinute = 60, kHour = 3600, kDay = 86400;
  if (high >= 3 * kDay) return {kDay, "d"};
  if (high >= 3 * kHour) return {kHour, "h"};
  return high >= 3 * kMinute ? Unit{kMinute, "min"} : Unit{1, "s"};
}

}  // namespace starling::tools

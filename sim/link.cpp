// Parsing of link descriptions and the bucket that shapes one direction of a link.
#include "sim/link.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/error.h"

namespace starling::sim {
namespace {

using core::Kind;

struct Unit {
  std::string_view name;
  double factor;
};
constexpr std::array<Unit, 3> kDelayUnits{{{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}}};          // to ns
constexpr std::array<Unit, 3> kRateUnits{{{"kbit", 125.0}, {"mbit", 125e3}, {"gbit", 125e6}}};  // to bytes/s
constexpr double kDelayMaxNs = 60e9;
constexpr double kRateMaxBytes = 125e9;

double quantity(std::string_view text, std::string_view part, const std::array<Unit, 3>& units) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  core::check(error == std::errc() && std::isfinite(value) && value >= 0, Kind::usage,
              "link: '{}' is no {}: expected a number and a unit", text, part);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const Unit& known : units)
    if (known.name == unit) return value * known.factor;
  core::fail(Kind::usage, "link: {}={}: unknown unit '{}'; known: {} {} {}", part, text, unit, units[0].name,
             units[1].name, units[2].name);
}

std::string number(double value) { return fmt::format("{:.6g}", value); }

}  // namespace

LinkSpec parse_link(std::string_view text) {
  LinkSpec link;
  bool have_delay = false, have_rate = false;
  for (std::string_view rest = text; !rest.empty() || (!have_delay && !have_rate);) {
    const auto comma = rest.find(',');
    const std::string_view part = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    core::check(comma == std::string_view::npos || !rest.empty(), Kind::usage, "link: '{}' ends with a comma", text);
    const auto equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? "" : part.substr(equals + 1);
    core::check(key == "delay" || key == "rate", Kind::usage,
                "link: '{}' is unknown; expected delay=..., rate=... or both (as in delay=1ms,rate=300mbit)", part);
    bool& have = key == "delay" ? have_delay : have_rate;
    core::check(!have, Kind::usage, "link: {} is given twice", key);
    have = true;
    if (key == "delay") {
      const double ns = quantity(value, key, kDelayUnits);
      core::check(ns <= kDelayMaxNs, Kind::usage, "link: delay={} is more than 60s", value);
      link.delay = Time(std::llround(ns));
    } else {
      link.bytes_per_s = quantity(value, key, kRateUnits);
      core::check(link.bytes_per_s > 0 && link.bytes_per_s <= kRateMaxBytes, Kind::usage,
                  "link: rate={} is not above 0 and at most 1000gbit", value);
    }
  }
  return link;
}

std::string to_string(const LinkSpec& link) {
  const double ns = static_cast<double>(link.delay.count());
  std::string text = "delay=" + (ns < 1e6 ? number(ns / 1e3) + "us" : ns < 1e9 ? number(ns / 1e6) + "ms" : number(ns / 1e9) + "s");
  if (const double rate = link.bytes_per_s; rate > 0)
    text += ",rate=" + (rate < 125e3   ? number(rate / 125) + "kbit"
                        : rate < 125e6 ? number(rate / 125e3) + "mbit"
                                       : number(rate / 125e6) + "gbit");
  return text;
}

Time delay_between(const LinkSpec& a, const LinkSpec& b) { return (a.delay + b.delay) / 2; }

Passage Bucket::pass(Passage ready, std::uint64_t bytes) {
  const Time needed(bytes_per_s_ > 0 ? std::llround(static_cast<double>(bytes) / bytes_per_s_ * 1e9) : 0);
  Passage passage;
  passage.first = std::max(ready.first, free_at_);
  passage.last = std::max(passage.first + needed, ready.last);
  if (bytes_per_s_ > 0) free_at_ = passage.last;
  return passage;
}

std::uint64_t read_ahead_bytes(double bytes_per_s, Time delay) {
  constexpr double kBytesMax = 64.0 * (1 << 20);
  const double on_the_path =
      bytes_per_s > 0 ? bytes_per_s * static_cast<double>(delay.count()) / 1e9 : kBytesMax;
  return static_cast<std::uint64_t>(std::min(on_the_path, kBytesMax)) + (64u << 10);
}

}  // namespace starling::sim

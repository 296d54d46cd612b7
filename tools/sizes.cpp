#include "tools/sizes.h"

#include <charconv>
#include <cmath>
#include <string>

#include "core/error.h"

namespace starling::tools {

using core::Kind;

std::uint64_t parse_size(std::string_view text, std::string_view what) {
  constexpr std::string_view kPrefixes = "KMGTP";
  constexpr double kBytesMax = 9e18;
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  std::string unit(rest, end);
  if (!unit.empty() && unit[0] == 'k') unit[0] = 'K';
  double factor = 1;
  bool known = unit.empty() || unit == "B";
  if (const auto power = unit.empty() ? std::string_view::npos : kPrefixes.find(unit[0]); power != std::string_view::npos) {
    known = unit.size() == 1 || unit.substr(1) == "iB" || unit.substr(1) == "B";
    factor = std::pow(unit.substr(1) == "B" ? 1000.0 : 1024.0, static_cast<double>(power + 1));
  }
  core::check(error == std::errc() && known, Kind::usage, "{}: '{}' is no size; expected a number and K, M, G or T, as in 512M",
              what, text);
  core::check(std::isfinite(value) && value > 0 && value * factor <= kBytesMax && value * factor >= 1, Kind::usage,
              "{}: {} is out of range", what, text);
  return static_cast<std::uint64_t>(value * factor);
}

}  // namespace starling::tools

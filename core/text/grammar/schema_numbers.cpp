// Ranges of numbers as alternatives of digits: a range of equally long numerals is cut at its first digit into a lower
// part, a middle of free digits and an upper part.
#include <algorithm>

#include "core/error.h"
#include "core/text/grammar/json_schema.h"

namespace starling::core {
namespace {

std::string digit(char first, char last) { return first == last ? fmt::format("\"{}\"", first) : fmt::format("[{}-{}]", first, last); }

/// Strings of digits from `low` to `high`, which are equally long.
std::string fixed(std::string_view low, std::string_view high) {
  if (low.empty()) return "\"\"";
  const std::string_view low_rest = low.substr(1), high_rest = high.substr(1);
  if (low[0] == high[0]) return low_rest.empty() ? digit(low[0], low[0]) : digit(low[0], low[0]) + " " + fixed(low_rest, high_rest);
  const bool whole_low = low_rest.find_first_not_of('0') == std::string_view::npos;
  const bool whole_high = high_rest.find_first_not_of('9') == std::string_view::npos;
  const char first = static_cast<char>(low[0] + (whole_low ? 0 : 1)), last = static_cast<char>(high[0] - (whole_high ? 0 : 1));
  std::vector<std::string> parts;
  if (!whole_low) parts.push_back(digit(low[0], low[0]) + " " + fixed(low_rest, std::string(low_rest.size(), '9')));
  if (first <= last) parts.push_back(digit(first, last) + (low_rest.empty() ? "" : fmt::format(" [0-9]{{{}}}", low_rest.size())));
  if (!whole_high) parts.push_back(digit(high[0], high[0]) + " " + fixed(std::string(high_rest.size(), '0'), high_rest));
  return fmt::format("({})", fmt::join(parts, " | "));
}

/// Digits behind a point whose value lies from `low` to `high` (equally long); zeros at the end may be left out.
std::string fraction(std::string_view low, std::string_view high, bool may_be_empty) {
  if (low.empty()) return "\"\"";
  std::vector<std::string> parts;
  const std::string_view low_rest = low.substr(1), high_rest = high.substr(1);
  const std::string zeros(low_rest.size(), '0'), nines(low_rest.size(), '9');
  if (may_be_empty && low.find_first_not_of('0') == std::string_view::npos) parts.emplace_back("\"\"");
  if (low[0] == high[0]) {
    parts.push_back(digit(low[0], low[0]) + " " + fraction(low_rest, high_rest, true));
  } else {
    parts.push_back(digit(low[0], low[0]) + " " + fraction(low_rest, nines, true));
    if (high[0] - low[0] > 1)
      parts.push_back(digit(static_cast<char>(low[0] + 1), static_cast<char>(high[0] - 1)) + fmt::format(" [0-9]{{0,{}}}", low_rest.size()));
    parts.push_back(digit(high[0], high[0]) + " " + fraction(zeros, high_rest, true));
  }
  return fmt::format("({})", fmt::join(parts, " | "));
}

std::string not_negative(std::int64_t least, std::int64_t most) {
  const std::string low = std::to_string(least), high = std::to_string(most);
  std::vector<std::string> parts;
  for (std::size_t length = low.size(); length <= high.size(); ++length) {
    const std::string shortest = length == 1 ? "0" : "1" + std::string(length - 1, '0');
    parts.push_back(fixed(length == low.size() ? low : shortest, length == high.size() ? high : std::string(length, '9')));
  }
  return fmt::format("({})", fmt::join(parts, " | "));
}

constexpr const char* kFraction = "(\".\" [0-9]{1,9})?";

std::string not_negative_number(std::int64_t least, std::int64_t most, int decimals) {
  std::int64_t unit = 1;
  for (int i = 0; i < decimals; ++i) unit *= 10;
  const std::int64_t low = least / unit, high = most / unit;
  const auto digits = [&](std::int64_t value) { return fmt::format("{:0{}}", value, decimals); };
  const std::string from = digits(least % unit), to = digits(most % unit), nines(static_cast<std::size_t>(decimals), '9');
  std::vector<std::string> parts;
  if (low == high) {
    if (least % unit == 0) parts.push_back(fmt::format("\"{}\"", low));
    if (decimals > 0) parts.push_back(fmt::format("\"{}.\" {}", low, fraction(from, to, false)));
    return fmt::format("({})", fmt::join(parts, " | "));
  }
  const bool whole_low = least % unit == 0;
  if (!whole_low) parts.push_back(fmt::format("\"{}.\" {} [0-9]{{0,6}}", low, fraction(from, nines, false)));
  const std::int64_t middle = whole_low ? low : low + 1;
  if (middle < high) parts.push_back(not_negative(middle, high - 1) + " " + kFraction);
  parts.push_back(fmt::format("\"{}\"", high));
  if (decimals > 0) parts.push_back(fmt::format("\"{}.\" {}", high, fraction(std::string(to.size(), '0'), to, false)));
  return fmt::format("({})", fmt::join(parts, " | "));
}

}  // namespace

std::string integer_expression(std::int64_t least, std::int64_t most) {
  std::vector<std::string> parts;
  if (least < 0) parts.push_back("\"-\" " + not_negative(std::max<std::int64_t>(1, -most), -least));
  if (most >= 0) parts.push_back(not_negative(std::max<std::int64_t>(0, least), most));
  return fmt::format("({})", fmt::join(parts, " | "));
}

std::string number_expression(std::int64_t least, std::int64_t most, int decimals) {
  std::vector<std::string> parts;
  if (least < 0) parts.push_back("\"-\" " + not_negative_number(std::max<std::int64_t>(0, -most), -least, decimals));
  if (most >= 0) parts.push_back(not_negative_number(std::max<std::int64_t>(0, least), most, decimals));
  return fmt::format("({})", fmt::join(parts, " | "));
}

}  // namespace starling::core

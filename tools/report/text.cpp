#include "tools/report/text.h"

#include <cmath>

#include <fmt/format.h>

#include "core/formats/describe.h"
#include "tools/report/axis.h"

namespace starling::tools {

std::string grouped(std::int64_t value) {
  std::string digits = fmt::format("{}", value);
  const std::size_t sign = value < 0 ? 1 : 0;
  for (std::size_t at = digits.size(); at > sign + 3;) digits.insert(at -= 3, ",");
  return digits;
}

std::string percent(double share, int digits) { return fmt::format("{:.{}f} %", 100 * share, digits); }

std::string traffic(double bytes) {
  const Unit unit = byte_unit(bytes);
  const double value = bytes / unit.size;
  return unit.size == 1 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.{}f} {}", value, value < 99.95 ? 1 : 0, unit.name);
}

std::string duration(double seconds) {
  constexpr double kMinute = 60, kHour = 3600, kDay = 86400, kForever = 1e15;
  if (seconds < kMinute - 0.05) return fmt::format("{:.1f} s", seconds);
  if (!(seconds < kForever)) return fmt::format("{:.3g} d", seconds / kDay);
  const auto pair = [seconds](double large, const char* large_name, double small, const char* small_name) {
    const auto count = std::llround(seconds / small), each = std::llround(large / small);
    return count % each == 0 ? fmt::format("{} {}", count / each, large_name) : fmt::format("{} {} {} {}", count / each, large_name, count % each, small_name);
  };
  if (seconds < kHour - 0.5) return pair(kMinute, "min", 1, "s");
  return seconds < kDay - 30 ? pair(kHour, "h", kMinute, "min") : pair(kDay, "d", kHour, "h");
}

std::string figure(std::optional<double> value) {
  if (!value) return "-";
  const double size = std::abs(*value);
  if (size == 0) return "0";
  if (size < 1e-3 || size >= 1e6) return fmt::format("{:.3e}", *value);
  return fmt::format("{:.{}f}", *value, size < 1 ? 4 : size < 10 ? 3 : size < 100 ? 2 : size < 1000 ? 1 : 0);
}

std::string escape(std::string_view text) {
  std::string result;
  for (const char c : core::printable(text)) switch (c) {
      case '&': result += "&amp;"; break;
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '"': result += "&quot;"; break;
      case '\'': result += "&#39;"; break;
      default: result += static_cast<unsigned char>(c) < ' ' && c != '\n' ? ' ' : c;
    }
  return result;
}

}  // namespace starling::tools

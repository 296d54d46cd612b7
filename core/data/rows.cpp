#include "core/data/rows.h"

#include <charconv>
#include <cmath>

namespace starling::core {
namespace {

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t' || s.back() == '\r')) s.remove_suffix(1);
  return s;
}

}  // namespace

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kShown = 40;
  std::string result = "'";
  for (const char c : text.substr(0, kShown)) result += c >= ' ' && c <= '~' ? c : '?';
  return result + (text.size() > kShown ? "...'" : "'");
}

bool Rows::next() {
  while (!left_.empty()) {
    const std::size_t end = std::min(left_.find('\n'), left_.size());
    std::string_view row = trim(left_.substr(0, end));
    left_.remove_prefix(std::min(end + 1, left_.size()));
    ++line_;
    if (row.empty()) continue;
    fields_.clear();
    for (std::size_t comma; (comma = row.find(',')) != std::string_view::npos; row.remove_prefix(comma + 1)) fields_.push_back(trim(row.substr(0, comma)));
    fields_.push_back(trim(row));
    return true;
  }
  return false;
}

void Rows::expect_fields(std::size_t count) const {
  if (fields_.size() != count) malformed("{} fields, expected {}", fields_.size(), count);
}

float Rows::number(std::size_t field, std::string_view name) const {
  const std::string_view text = fields_.at(field);
  float value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) malformed("{} is {}, expected a number", in_quotes(name), in_quotes(text));
  return value;
}

std::int32_t Rows::whole(std::size_t field, std::string_view name, std::int32_t low, std::int32_t high) const {
  const std::string_view text = fields_.at(field);
  std::int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high)
    malformed("{} is {}, expected a whole number from {} to {}", in_quotes(name), in_quotes(text), low, high);
  return value;
}

}  // namespace starling::core

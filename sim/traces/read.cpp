#include "sim/traces/read.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>

#include "core/error.h"
#include "core/formats/json_fields.h"

namespace starling::sim {
namespace {

using core::check;
using core::Kind;

/// The lines of a text one after the other, and numbers at the front of each.
class Lines {
 public:
  Lines(std::string_view text, const std::string& source) : rest_(text), source_(source) {}

  /// False at the end. Empty lines count but are passed over.
  bool next() {
    while (!rest_.empty()) {
      const std::size_t end = rest_.find('\n');
      line_ = rest_.substr(0, end);
      rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
      ++number_;
      skip_blanks();
      if (!line_.empty()) return true;
    }
    return false;
  }
  template <class T>
  T take(const char* expected) {
    T value{};
    const auto [end, error] = std::from_chars(line_.data(), line_.data() + line_.size(), value);
    require(error == std::errc(), expected);
    line_.remove_prefix(static_cast<std::size_t>(end - line_.data()));
    require(line_.empty() || line_.front() == ' ' || line_.front() == '\t' || line_.front() == '\r', expected);
    skip_blanks();
    return value;
  }
  void end(const char* expected) const { require(line_.empty(), expected); }
  void require(bool condition, const char* expected) const {
    check(condition, Kind::malformed, "{}: line {}: expected {}", source_, number_, expected);
  }

 private:
  void skip_blanks() { line_.remove_prefix(std::min(line_.size(), line_.find_first_not_of(" \t\r"))); }

  std::string_view rest_, line_;
  const std::string& source_;
  std::size_t number_ = 0;
};

}  // namespace

Capacity parse_mahimahi(std::string_view text, const std::string& source) {
  constexpr double kPacketBytes = 1500;
  constexpr std::int64_t kLastMs = 1'000'000'000;  // eleven days
  constexpr const char* kExpected = "a whole number of milliseconds, not below the line before and at most 1000000000";
  Lines lines(text, source);
  std::vector<Time> at;
  while (lines.next()) {
    const auto ms = lines.take<std::int64_t>(kExpected);
    lines.end(kExpected);
    lines.require(ms >= 0 && ms <= kLastMs && (at.empty() || Time(std::chrono::milliseconds(ms)) >= at.back()), kExpected);
    at.push_back(std::chrono::milliseconds(ms));
  }
  check(!at.empty() && at.back() > Time(0), Kind::malformed, "{}: expected at least one time above 0, as the last one is the trace's length", source);
  return Capacity::opportunities(at, kPacketBytes);
}

Capacity parse_throughput(std::string_view text, const std::string& source, double share) {
  constexpr double kLastSeconds = 1e6, kMbitMax = 1e6, kBytesPerMbit = 125e3;
  constexpr const char* kExpected = "'seconds megabits-per-second', seconds above the line before and at most 1000000, megabits from 0 to 1000000";
  Lines lines(text, source);
  std::vector<Time> ends;
  std::vector<double> rates;
  double begin = -1, total = 0;
  for (bool first = true; lines.next(); first = false) {
    const auto seconds = lines.take<double>(kExpected), mbit = lines.take<double>(kExpected);
    lines.end(kExpected);
    lines.require(seconds >= 0 && seconds <= kLastSeconds && mbit >= 0 && mbit <= kMbitMax, kExpected);
    if (first) {
      begin = seconds;
      continue;
    }
    const Time end(std::llround((seconds - begin) * 1e9));
    lines.require(end > (ends.empty() ? Time(0) : ends.back()), kExpected);
    ends.push_back(end);
    rates.push_back(mbit * kBytesPerMbit * share);
    total += mbit;
  }
  check(total > 0, Kind::malformed, "{}: expected at least two lines, and one after the first with a throughput above 0", source);
  return Capacity::rates(std::move(ends), rates);
}

Capacity parse_planetlab(std::string_view text, const std::string& source) {
  constexpr std::chrono::minutes kInterval{5};
  constexpr double kLeast = 0.01;
  constexpr std::size_t kIntervalsMax = 105'120;  // a year
  constexpr const char* kExpected = "a whole number of per cent from 0 to 100, a year of them at most";
  Lines lines(text, source);
  std::vector<Time> ends;
  std::vector<double> rates;
  while (lines.next()) {
    const auto percent = lines.take<int>(kExpected);
    lines.end(kExpected);
    lines.require(percent >= 0 && percent <= 100 && ends.size() < kIntervalsMax, kExpected);
    rates.push_back(std::max(kLeast, static_cast<double>(100 - percent) / 100));
    ends.push_back(static_cast<Time::rep>(rates.size()) * kInterval);
  }
  check(!ends.empty(), Kind::malformed, "{}: expected at least one line with a load in per cent", source);
  return Capacity::rates(std::move(ends), rates);
}

std::vector<Phone> parse_phones(std::string_view text, const std::string& source) {
  constexpr std::uint64_t kBytesMax = 4 << 20;
  const nlohmann::json parsed = core::parse_json_object(std::as_bytes(std::span(text)), source, {.bytes_max = kBytesMax, .depth_max = 2});
  std::vector<Phone> phones;
  for (const auto& [model, score] : parsed.items()) {
    check(score.is_number() && score.get<double>() > 0 && std::isfinite(score.get<double>()), Kind::malformed,
          "{}: the score of '{}' is {}, expected a number above 0", source, model, score.dump());
    phones.push_back({model, score.get<double>()});
  }
  check(!phones.empty(), Kind::malformed, "{}: expected an object of phones and their scores", source);
  return phones;
}

}  // namespace starling::sim

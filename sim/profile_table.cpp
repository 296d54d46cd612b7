#include "sim/profile_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/data/archive.h"
#include "core/error.h"
#include "core/formats/json_fields.h"

namespace starling::sim {
namespace {

using core::check;
using core::JsonFields;
using core::Kind;

constexpr std::uint64_t kTableBytesMax = std::uint64_t{4} << 30, kLineBytesMax = 1 << 20;
constexpr std::array<std::string_view, 8> kFields{"id", "c_ms", "down_kBps", "up_kBps", "mem_MB", "period_s", "intervals", "p_fail"};

float quantity(const JsonFields& fields, std::string_view key, double low, double high, std::optional<double> otherwise = {}) {
  const std::optional<double> given = fields.real(key);
  fields.require(given || otherwise, key, "is missing");
  const double value = given ? *given : *otherwise;
  fields.require(value >= low && value <= high, key, "is {}, expected {} to {}", value, low, high);
  return static_cast<float>(value);
}

std::uint32_t milliseconds(const JsonFields& fields, std::string_view key, double seconds, double most) {
  fields.require(seconds >= 0 && seconds <= most, key, "has {} s, expected 0 to {}", seconds, most);
  return static_cast<std::uint32_t>(std::llround(seconds * 1000));
}

}  // namespace

void ProfileTable::add(std::string_view line, const std::string& source, std::int64_t& last_id) {
  constexpr double kMost = 1e9, kPeriodMax = 4.29e6;
  const nlohmann::json parsed = core::parse_json_object(std::as_bytes(std::span(line)), source, {.bytes_max = kLineBytesMax, .depth_max = 4});
  const JsonFields fields(parsed, source);
  for (const auto& [key, value] : parsed.items())
    check(std::find(kFields.begin(), kFields.end(), key) != kFields.end(), Kind::malformed, "{}: unknown field '{}'; known: {}", source, key,
          fmt::join(kFields, " "));
  const std::int64_t id = fields.required_integer("id");
  fields.require(id > last_id, "id", "is {}, expected one above {}", id, last_id);
  last_id = id;
  ms_per_example_.push_back(quantity(fields, "c_ms", 1e-6, kMost));
  down_kb_.push_back(quantity(fields, "down_kBps", 1e-6, kMost));
  up_kb_.push_back(quantity(fields, "up_kBps", 1e-6, kMost));
  memory_mb_.push_back(quantity(fields, "mem_MB", 0, kMost, 0));
  failure_.push_back(quantity(fields, "p_fail", 0, 1, 0));
  const nlohmann::json& list = fields.list("intervals");
  const double period = fields.real("period_s").value_or(0);
  period_ms_.push_back(milliseconds(fields, "period_s", period, kPeriodMax));
  fields.require(list.empty() || period_ms_.back() > 0, "period_s", "is {}, expected above 0 where there are intervals", period);
  std::uint32_t before = 0;
  for (const auto& pair : list) {
    const bool numbers = pair.is_array() && pair.size() == 2 && pair[0].is_number() && pair[1].is_number();
    fields.require(numbers, "intervals", "holds {}, expected pairs [begin, end]", pair.dump());
    const Stay stay{milliseconds(fields, "intervals", pair[0].get<double>(), period), milliseconds(fields, "intervals", pair[1].get<double>(), period)};
    const bool ascending = stay.begin_ms >= before && stay.end_ms >= stay.begin_ms;
    fields.require(ascending, "intervals", "holds {} after {} s, expected ascending times", pair.dump(), before / 1000.0);
    before = stay.end_ms;
    stays_.push_back(stay);
  }
  check(stays_.size() <= std::numeric_limits<std::uint32_t>::max(), Kind::malformed, "{}: more than 2^32 - 1 intervals so far", source);
  stays_end_.push_back(static_cast<std::uint32_t>(stays_.size()));
}

ProfileTable ProfileTable::parse(std::string_view text, const std::string& source) {
  ProfileTable table;
  std::int64_t last_id = -1;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) table.add(line, fmt::format("{}: line {}", source, number), last_id);
  }
  check(table.size() > 0, Kind::malformed, "{}: expected a JSON object a line, one for each device", source);
  return table;
}

ProfileTable ProfileTable::load(const std::filesystem::path& file) {
  const std::vector<std::byte> bytes = core::read_packed(file, kTableBytesMax);
  return parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file.string());
}

Intervals ProfileTable::intervals(std::size_t row) const {
  const std::size_t begin = row > 0 ? stays_end_[row - 1] : 0;
  return {std::span(stays_).subspan(begin, stays_end_[row] - begin), period_ms_[row]};
}

}  // namespace starling::sim

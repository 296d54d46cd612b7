#include "core/formats/json_fields.h"

#include <unordered_set>
#include <vector>

namespace starling::core {

nlohmann::json parse_json_object(Bytes text, const std::string& source, const JsonLimits& limits) {
  check(text.size() <= limits.bytes_max, Kind::malformed, "{}: {} bytes of JSON, at most {} allowed", source, text.size(),
        limits.bytes_max);
  using Event = nlohmann::json::parse_event_t;
  std::vector<std::unordered_set<std::string>> keys;
  const auto watch = [&](int depth, Event event, nlohmann::json& parsed) {
    check(depth <= limits.depth_max, Kind::malformed, "{}: JSON nested deeper than {}", source, limits.depth_max);
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key)
      check(keys.back().insert(parsed.get<std::string>()).second, Kind::malformed, "{}: {} appears twice", source,
            parsed.dump());
    return true;
  };
  const char* begin = reinterpret_cast<const char*>(text.data());
  try {
    nlohmann::json result = nlohmann::json::parse(begin, begin + text.size(), watch);
    check(result.is_object(), Kind::malformed, "{}: not a JSON object", source);
    return result;
  } catch (const nlohmann::json::exception& error) {
    fail(Kind::malformed, "{}: {}", source, error.what());
  }
}

JsonFields::JsonFields(const nlohmann::json& value, std::string source, std::string where)
    : value_(value), source_(std::move(source)), where_(std::move(where)) {
  check(value.is_object(), Kind::malformed, "{}: {} is not an object", source_, where_.empty() ? "the text" : where_);
}

const nlohmann::json* JsonFields::find(std::string_view key) const {
  const auto found = value_.find(key);
  return found == value_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::int64_t> JsonFields::integer(std::string_view key) const {
  const auto* member = find(key);
  if (!member) return std::nullopt;
  require(member->is_number_integer(), key, "is not an integer");
  require(!member->is_number_unsigned() || member->get<std::uint64_t>() >> 63 == 0, key, "is above 2^63 - 1");
  return member->get<std::int64_t>();
}

std::optional<double> JsonFields::real(std::string_view key) const {
  const auto* member = find(key);
  if (!member) return std::nullopt;
  require(member->is_number(), key, "is not a number");
  return member->get<double>();
}

std::optional<bool> JsonFields::boolean(std::string_view key) const {
  const auto* member = find(key);
  if (!member) return std::nullopt;
  require(member->is_boolean(), key, "is not true or false");
  return member->get<bool>();
}

std::optional<std::string> JsonFields::text(std::string_view key) const {
  const auto* member = find(key);
  if (!member) return std::nullopt;
  require(member->is_string(), key, "is not a string");
  return member->get<std::string>();
}

std::optional<JsonFields> JsonFields::object(std::string_view key) const {
  const auto* member = find(key);
  if (!member) return std::nullopt;
  return JsonFields(*member, source_, where_.empty() ? std::string(key) : fmt::format("{}.{}", where_, key));
}

const nlohmann::json& JsonFields::list(std::string_view key) const {
  static const nlohmann::json kEmpty = nlohmann::json::array();
  const auto* member = find(key);
  if (!member) return kEmpty;
  require(member->is_array(), key, "is not a list");
  return *member;
}

std::int64_t JsonFields::required_integer(std::string_view key) const {
  const auto value = integer(key);
  require(value.has_value(), key, "is missing");
  return *value;
}

std::string JsonFields::required_text(std::string_view key) const {
  auto value = text(key);
  require(value.has_value(), key, "is missing");
  return *std::move(value);
}

}  // namespace starling::core

#include "tools/serve/json_fields.h"

#include <cmath>

namespace starling::tools {
namespace {

/// Depth and number of values by brackets and commas outside of strings.
void check_size(std::string_view text, const JsonLimits& limits) {
  int depth = 0;
  std::size_t values = 1;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      else if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      ++values;
      if (++depth > limits.depth) throw invalid("", fmt::format("the body is nested deeper than {}", limits.depth));
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == ',' && ++values > limits.values) {
      break;
    }
  }
  if (values > limits.values) throw invalid("", fmt::format("the body has more than {} values", limits.values));
}

}  // namespace

Json parse_object(std::string_view text, const JsonLimits& limits) {
  check_size(text, limits);
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::exception& error) {
    throw invalid("", std::string("the body is not JSON: ") + error.what());
  }
  if (!json.is_object()) throw invalid("", "the body is not a JSON object");
  return json;
}

JsonFields::JsonFields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
  if (!object.is_object()) throw invalid(path_, fmt::format("{}: expected an object", path_));
}

std::string JsonFields::path(std::string_view name) const {
  return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
}

const Json* JsonFields::find(std::string_view name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::int64_t> JsonFields::integer(std::string_view name, std::int64_t lowest, std::int64_t highest) const {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_number_integer()) throw invalid(path(name), fmt::format("{}: expected an integer", path(name)));
  const bool huge = value->is_number_unsigned() && value->get<std::uint64_t>() > std::uint64_t{INT64_MAX};
  if (huge || value->get<std::int64_t>() < lowest || value->get<std::int64_t>() > highest)
    throw invalid(path(name), fmt::format("{}: {} is not between {} and {}", path(name), value->dump(), lowest, highest));
  return value->get<std::int64_t>();
}

std::optional<double> JsonFields::number(std::string_view name, double lowest, double highest) const {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_number()) throw invalid(path(name), fmt::format("{}: expected a number", path(name)));
  const double number = value->get<double>();
  if (!(number >= lowest && number <= highest))
    throw invalid(path(name), fmt::format("{}: {} is not between {} and {}", path(name), value->dump(), lowest, highest));
  return number;
}

std::optional<bool> JsonFields::boolean(std::string_view name) const {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_boolean()) throw invalid(path(name), fmt::format("{}: expected true or false", path(name)));
  return value->get<bool>();
}

std::optional<std::string> JsonFields::text(std::string_view name) const {
  const Json* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_string()) throw invalid(path(name), fmt::format("{}: expected a string", path(name)));
  return value->get<std::string>();
}

std::string JsonFields::required_text(std::string_view name) const {
  required(name);
  return *text(name);
}

const Json& JsonFields::required(std::string_view name) const {
  const Json* value = find(name);
  if (!value) throw invalid(path(name), fmt::format("{} is missing", path(name)));
  return *value;
}

const Json* JsonFields::array(std::string_view name, std::size_t most) const {
  const Json* value = find(name);
  if (!value) return nullptr;
  if (!value->is_array()) throw invalid(path(name), fmt::format("{}: expected an array", path(name)));
  if (value->size() > most)
    throw invalid(path(name), fmt::format("{}: {} elements, at most {} are allowed", path(name), value->size(), most));
  return value;
}

}  // namespace starling::tools

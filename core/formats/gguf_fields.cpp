#include "core/formats/gguf_fields.h"

#include <algorithm>

namespace starling::core {
namespace {

template <class T>
std::optional<T> copied(const T* value) {
  return value ? std::optional<T>(*value) : std::nullopt;
}

}  // namespace

std::optional<std::int64_t> GgufFields::integer(std::string_view key) const {
  // Some counts may be lists with one entry per layer; equal entries mean the one number.
  const GgufValue* value = file_.find(key);
  const auto* list = value ? std::get_if<std::vector<std::int64_t>>(&value->data) : nullptr;
  if (list == nullptr || list->empty()) return copied(get<std::int64_t>(key, "an integer"));
  const bool equal = std::all_of(list->begin(), list->end(), [&](std::int64_t n) { return n == list->front(); });
  check(equal, Kind::unsupported, "{}: {} differs between layers", source_, key);
  return list->front();
}

std::optional<double> GgufFields::real(std::string_view key) const { return copied(get<double>(key, "a float")); }
std::optional<bool> GgufFields::boolean(std::string_view key) const { return copied(get<bool>(key, "a bool")); }
std::optional<std::string> GgufFields::text(std::string_view key) const {
  return copied(get<std::string>(key, "a string"));
}
const std::vector<std::string>* GgufFields::texts(std::string_view key) const {
  return get<std::vector<std::string>>(key, "an array of strings");
}
const std::vector<std::int64_t>* GgufFields::integers(std::string_view key) const {
  return get<std::vector<std::int64_t>>(key, "an array of integers");
}
const std::vector<double>* GgufFields::reals(std::string_view key) const {
  return get<std::vector<double>>(key, "an array of floats");
}

std::int64_t GgufFields::required_integer(std::string_view key) const {
  const auto value = integer(key);
  check(value.has_value(), Kind::malformed, "{}: {} is missing", source_, key);
  return *value;
}

}  // namespace starling::core

#include "core/formats/describe.h"

#include <nlohmann/json.hpp>

namespace starling::core {

nlohmann::ordered_json new_description(const std::string& file, std::string_view format, std::uint64_t bytes) {
  nlohmann::ordered_json result;
  result["file"] = printable(file);
  result["format"] = format;
  result["bytes"] = bytes;
  result["metadata"] = nlohmann::ordered_json::object();
  result["tensors"] = nlohmann::ordered_json::array();
  result["totals"] = {{"tensors", 0}, {"parameters", 0}, {"tensor_bytes", 0}};
  return result;
}

void describe_tensor(nlohmann::ordered_json& description, const std::string& name, std::string_view type,
                     const Shape& shape, std::uint64_t bytes) {
  description["tensors"].push_back({{"name", printable(name)}, {"type", type}, {"shape", shape}, {"bytes", bytes}});
  auto& totals = description["totals"];
  totals["tensors"] = totals["tensors"].get<std::int64_t>() + 1;
  totals["parameters"] = totals["parameters"].get<std::int64_t>() + element_count(shape);
  totals["tensor_bytes"] = totals["tensor_bytes"].get<std::uint64_t>() + bytes;
}

std::string printable(std::string_view text) {
  // The serialiser replaces invalid bytes; parsing its output gives the text back with valid ones only.
  const auto replace = nlohmann::json::error_handler_t::replace;
  return nlohmann::json::parse(nlohmann::json(text).dump(-1, ' ', false, replace)).get<std::string>();
}

}  // namespace starling::core

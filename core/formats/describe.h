// What `inspect` shows of a model file: one JSON layout for all formats.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "core/tensor.h"

namespace starling::core {

/// {"file", "format", "bytes", "metadata": {}, "tensors": [], "totals": {}}.
nlohmann::ordered_json new_description(const std::string& file, std::string_view format, std::uint64_t bytes);

/// Adds {"name", "type", "shape", "bytes"} to "tensors" and counts it in "totals".
void describe_tensor(nlohmann::ordered_json& description, const std::string& name, std::string_view type,
                     const Shape& shape, std::uint64_t bytes);

/// `text` with every byte that is not valid UTF-8 replaced, so that it can be printed as JSON.
std::string printable(std::string_view text);

}  // namespace starling::core

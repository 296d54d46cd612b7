// The known name that a mistyped one most likely meant.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace starling::tools {

/// By edit distance, neighbouring letters swapped counting as one; nullopt when nothing is near (more than a
/// third of the letters differ, at least two).
std::optional<std::string> nearest(std::string_view name, std::span<const std::string> known);

/// "; did you mean 'x'?" or nothing.
std::string suggestion(std::string_view name, std::span<const std::string> known);

}  // namespace starling::tools

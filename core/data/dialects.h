// Texts for the federated quickstart: little stories in one grammar, told in four dialects that have their own words and
// names for the same things. Who has read one text cannot know the words of the others; who learns with their readers can.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace starling::core {

constexpr std::size_t kDialects = 4;

/// "coast", "hills", "marsh" or "woods".
std::string_view dialect_name(std::size_t dialect);

/// Words of the dialect, lower case, that no other has; word i means the same in all of them.
std::span<const std::string_view> dialect_words(std::size_t dialect);

/// About `bytes` of ASCII, a story a line, ended by the line that reaches them: a function of its arguments alone.
std::string dialect_text(std::size_t dialect, std::size_t bytes, std::uint64_t seed);

}  // namespace starling::core

// Figures as people read them, and any text as it may stand in a page.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace starling::tools {

/// "44,426"
std::string grouped(std::int64_t value);
/// 0.7678 as "76.78 %"
std::string percent(double share, int digits = 2);
/// "17.8 MB": powers of 1000, as networks count
std::string traffic(double bytes);
/// "12.3 s", "8 min 5 s", "8 h 56 min", "2 d 3 h"
std::string duration(double seconds);
/// Four digits that count; "-" where there is none
std::string figure(std::optional<double> value);

/// `text` as the content of an element or of an attribute in quotes: & < > and both quotes by name, bytes that are no
/// UTF-8 and control characters replaced.
std::string escape(std::string_view text);

}  // namespace starling::tools

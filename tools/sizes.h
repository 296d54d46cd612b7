// Amounts of memory as people write them.
#pragma once

#include <cstdint>
#include <string_view>

namespace starling::tools {

/// "4G", "512M", "1.5GiB" (powers of 1024), "4GB" (powers of 1000), "4096" (bytes). Kind::usage names `what`.
std::uint64_t parse_size(std::string_view text, std::string_view what);

}  // namespace starling::tools

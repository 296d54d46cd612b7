// How much memory this process holds.
#pragma once

#include <cstdint>

namespace starling::tools {

/// VmRSS, of this process (0) or another; 0 when it cannot be read.
std::uint64_t resident_bytes(int pid = 0);

}  // namespace starling::tools

// Places at which a test ends the process as kill -9 would, to prove that what is on disk suffices to go on.
#pragma once

#include <string_view>

namespace starling::core {

/// Kills this process when STARLING_CRASH is "NAME:K" and this is the K-th passage through NAME; else does nothing.
void crash_point(std::string_view name);

}  // namespace starling::core

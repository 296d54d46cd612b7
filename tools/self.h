// What this process tells others about itself.
#pragma once

#include <string>
#include <string_view>

#include "comm/connect.h"

namespace starling::tools {

std::string host_name();
comm::NodeInfo describe_self(std::string name, int threads);
/// True when the host of `uri` is this machine's loopback interface.
bool is_loopback(std::string_view uri);

}  // namespace starling::tools

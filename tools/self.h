// What this process tells others about itself.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "comm/connect.h"

namespace starling::tools {

std::string host_name();
comm::NodeInfo describe_self(std::string name, int threads);
/// A number that no other session has.
std::uint64_t new_session();
/// Compute threads of each of so many ranks on this machine; `asked` where it is not 0.
int threads_per_rank(int asked, int ranks_here);
/// True when the host of `uri` is this machine's loopback interface.
bool is_loopback(std::string_view uri);

}  // namespace starling::tools

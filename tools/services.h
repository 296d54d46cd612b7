// What a node of this program offers. A new service is one line in services.cpp.
#pragma once

#include <vector>

#include "comm/job.h"
#include "partition/shard.h"

namespace starling::tools {

std::vector<comm::Service> node_services(const partition::NodeBudget& budget);

}  // namespace starling::tools

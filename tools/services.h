// What a node of this program offers. A new service is one line in services.cpp.
#pragma once

#include <filesystem>
#include <vector>

#include "comm/job.h"
#include "partition/shard.h"

namespace starling::tools {

struct NodeSettings {
  partition::NodeBudget budget;
  std::filesystem::path data;    // of the node's own examples; empty: where the program looks for data
  std::filesystem::path states;  // what clients keep from task to task; empty: in memory
};

std::vector<comm::Service> node_services(const NodeSettings& settings);

}  // namespace starling::tools

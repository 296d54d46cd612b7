// Plans and reports for people (a table) and for programs (JSON).
#pragma once

#include <span>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "partition/plan.h"
#include "partition/shard.h"

namespace starling::tools {

/// "1.5 MiB"
std::string human_bytes(std::uint64_t bytes);

nlohmann::json to_json(const partition::Plan& plan);
/// One object a rank: the plan's name with what the rank reported.
nlohmann::json nodes_json(const partition::Plan& plan, std::span<const partition::ShardReport> reports);

/// Who held what: a line a rank.
std::string table(const partition::Plan& plan, std::span<const partition::ShardReport> reports);

}  // namespace starling::tools

// From what the command line says to the plan of a run: shares, the cache's type, who is called what. The same for every
// command that computes with a model on a cluster.
#pragma once

#include <string>
#include <vector>

#include "partition/plan.h"
#include "tools/cluster.h"

namespace starling::tools {

/// `name` as f32, f16 or q8_0 (Kind::usage otherwise); empty: f32 for F32 models, else f16.
core::Type cache_type(const std::string& name, const core::LlamaModel& model);

/// All but the positions. `cluster` null: this process alone. Measures the nodes' speeds where nobody says the shares.
partition::PlanOptions plan_options(const ClusterOptions& options, const std::string& kv_type, const core::LlamaModel& model,
                                    Cluster* cluster);

}  // namespace starling::tools

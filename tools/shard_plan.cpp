#include "tools/shard_plan.h"

#include "partition/probe.h"

namespace starling::tools {
namespace {

using core::check;
using core::Kind;

std::vector<double> shares_for(const ClusterOptions& options, Cluster* cluster, core::Rank ranks) {
  if (!cluster) return {1.0};
  if (!options.shares.empty()) return partition::parse_shares(options.shares, ranks);
  if (!cluster->shares().empty()) return cluster->shares();
  if (cluster->local() || !cluster->transport()) return std::vector<double>(static_cast<std::size_t>(ranks), 1.0);
  return partition::probe_speeds(*cluster->transport(), cluster->threads());
}

}  // namespace

core::Type cache_type(const std::string& name, const core::LlamaModel& model) {
  if (name.empty()) return model.blocks.front().query.type() == core::Type::f32 ? core::Type::f32 : core::Type::f16;
  const core::Type type = core::type_from_name(name);
  check(type == core::Type::f32 || type == core::Type::f16 || type == core::Type::q8_0, Kind::usage,
        "--kv-type {}: expected f32, f16 or q8_0", name);
  return type;
}

partition::PlanOptions plan_options(const ClusterOptions& options, const std::string& kv_type, const core::LlamaModel& model,
                                    Cluster* cluster) {
  const core::Rank ranks = cluster ? cluster->size() : 1;
  partition::PlanOptions plan;
  plan.shares = shares_for(options, cluster, ranks);
  for (core::Rank i = 0; i < ranks; ++i)
    plan.names.push_back(cluster ? cluster->nodes()[static_cast<std::size_t>(i)].name : "single");
  plan.memory_bytes.assign(static_cast<std::size_t>(ranks), options.memory_bytes);
  plan.sum = options.sum == "fast" ? core::Sum::fast : core::Sum::exact;
  plan.kv_type = cache_type(kv_type, model);
  return plan;
}

}  // namespace starling::tools

#include "tools/model_run.h"

#include <algorithm>
#include <optional>

#include "tools/shard_plan.h"

namespace starling::tools {

core::LlamaModel read_model(const std::string& path, const std::string& tokenizer, bool vocabulary_optional) {
  core::LoadOptions load;
  if (!tokenizer.empty()) load.tokenizer = tokenizer;
  load.vocabulary_optional = vocabulary_optional;
  return core::load_model(path, load);
}

int run_with_model(const ClusterOptions& options, const std::function<core::LlamaModel()>& load,
                   const std::function<int(core::LlamaModel, Cluster&)>& work) {
  std::optional<core::LlamaModel> model;
  if (!options.nodes_from_mpi()) model = load();
  Cluster cluster(options);
  if (cluster.is_worker()) return cluster.serve();
  try {
    if (!model) model = load();
    return work(std::move(*model), cluster);
  } catch (const core::Error& error) {
    cluster.fail(error);
    throw;
  }
}

partition::ShardOptions shard_options(const ClusterOptions& options, const std::string& kv_type, const core::LlamaModel& model,
                                      Cluster* cluster, std::int64_t positions) {
  partition::PlanOptions plan = plan_options(options, kv_type, model, cluster);
  plan.positions = positions;
  partition::ShardOptions result;
  result.plan = partition::make_plan(model, plan);
  result.rows_max = std::min(options.prefill_chunk, positions);
  result.allreduce = options.allreduce;
  return result;
}

}  // namespace starling::tools

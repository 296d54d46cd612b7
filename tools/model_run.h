// The frame of commands that compute with one model on a cluster as its rank 0.
#pragma once

#include <functional>
#include <string>

#include "core/models/load.h"
#include "partition/shard.h"
#include "tools/cluster.h"

namespace starling::tools {

/// The model at `path`; `tokenizer` empty: the one in or beside it.
core::LlamaModel read_model(const std::string& path, const std::string& tokenizer, bool vocabulary_optional = false);

/// Calls `load`, joins the ranks and gives both to `work`, whose status it returns. Ranks of an MPI job that only serve
/// do not load. A model that cannot be read is said before anything is started, other errors to all ranks.
int run_with_model(const ClusterOptions& options, const std::function<core::LlamaModel()>& load,
                   const std::function<int(core::LlamaModel, Cluster&)>& work);

/// One sequence of at most `positions` tokens, cut over `cluster` (null: this process alone) as the options say.
partition::ShardOptions shard_options(const ClusterOptions& options, const std::string& kv_type, const core::LlamaModel& model,
                                      Cluster* cluster, std::int64_t positions);

}  // namespace starling::tools

// A federated experiment carried out at a workplace: what `train` and `bench federated` have in common.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "federated/run.h"
#include "tools/federation.h"

namespace starling::tools {

struct FederatedRun {
  int threads = 1;                     // of evaluation
  std::int64_t evaluate_every = 1;
  std::filesystem::path journal;       // as federated::RunOptions has them
  std::uint64_t id = 0;
  federated::RunHooks hooks;
  const federated::Journal* resumed = nullptr;
};

/// Of an experiment: each node's where data is the nodes' own (`own` has the examples of each), else those of its partition.
std::int64_t clients_of(const Federation& federation, std::span<const std::uint64_t> own);

/// Under the experiment's clock, by its strategy, with its devices, links and attack. Kind::usage for an attack that its
/// clock forbids.
federated::RunResult run_federation(const Federation& federation, std::span<const std::uint64_t> own, federated::Workplace& workplace, const FederatedRun& run);

}  // namespace starling::tools

// Federated training under a virtual clock: the very server, strategies and local training of real nodes, driven by a
// queue of events. Training runs in the threads of this process when its result is needed; the order in which it runs
// changes nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "core/data/partition.h"
#include "federated/local_training.h"
#include "federated/server.h"
#include "sim/devices.h"

namespace starling::sim {

struct SimulationOptions {
  federated::RoundsPolicy rounds;
  federated::StrategyOptions strategy;
  federated::LocalOptions local;
  DeviceOptions devices;
  std::int64_t evaluate_every = 1;
  int threads = 1;
};

/// What is known after a round.
struct RoundResult {
  federated::RoundRecord record;
  double virtual_s = 0;
  bool evaluated = false;
  double test_loss = 0, test_accuracy = 0;
  double uplink_bytes = 0, downlink_bytes = 0;  // payload since the start
};

struct SimulationResult {
  std::vector<RoundResult> rounds;
  std::vector<float> model;
  bool completed = false;
  std::string why;  // where it did not
};

/// Client k of the devices holds parts[k]. `on_round` sees every round as it ends.
SimulationResult simulate(const core::TrainableModel& model, const federated::Examples& train, const federated::Examples& test,
                          const core::Partition& parts, const SimulationOptions& options,
                          const std::function<void(const RoundResult&)>& on_round = {});

}  // namespace starling::sim

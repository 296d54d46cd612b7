// The experiment file: one TOML file for the simulator, local processes and real nodes. Unknown keys are refused with
// the nearest known one; what a file leaves out has the defaults that `resolved` prints.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/dataset.h"
#include "core/data/partition.h"
#include "core/train/model.h"
#include "federated/attack.h"
#include "federated/local_training.h"
#include "federated/server.h"
#include "sim/devices.h"

namespace starling::tools {

struct Experiment {
  std::string name = "experiment";
  std::uint64_t seed = 1;
  std::int64_t rounds = 10;
  std::string clock = "virtual";   // or wall
  core::DatasetOptions data;
  core::PartitionOptions partition;
  std::int64_t image_side = 0;     // of synthetic data: pictures of so many pixels a side instead of features
  bool own_data = false;           // every node trains on what its --data folder holds, as one client
  double noise = 0;                // of partition "noise"
  core::ModelOptions model;
  std::filesystem::path checkpoint;  // of [model]: the weights to begin with (core/train/load_checkpoint.h); empty: fresh ones
  federated::LocalOptions client;
  federated::StrategyOptions strategy;
  federated::RoundsPolicy policy;
  std::string mode = "sync";       // of [rounds_policy]: sync or async
  sim::DeviceOptions devices;      // and [links]
  federated::AttackOptions attack;
  std::int64_t evaluate_every = 1;
};

/// `overrides` are "section.key=value" (or "key=value") as --set gives them. Kind::malformed for syntax and values of
/// the wrong type or range, Kind::usage for unknown keys; both name file, section and key.
Experiment parse_experiment(std::string_view toml, const std::string& source, const std::vector<std::string>& overrides = {});
Experiment load_experiment(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});

/// The whole experiment as a file that gives the same one again.
std::string resolved(const Experiment& experiment);

}  // namespace starling::tools

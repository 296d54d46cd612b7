// What an experiment file means: its model, its data and who has which part of it. The command and every node make the
// same of the same file.
#pragma once

#include <filesystem>
#include <memory>

#include "federated/client_service.h"
#include "tools/experiment.h"

namespace starling::tools {

class Federation final : public federated::ClientSide {
 public:
  /// Loads the data. `data_folder` is a node's own, empty for where the program looks. With [data] own = true a node is
  /// client `node` of `nodes`, and has all the examples it finds; the command (node < 0) then needs test data alone.
  Federation(Experiment experiment, std::filesystem::path data_folder, std::int64_t node = -1, std::int64_t nodes = 0);

  const core::TrainableModel& model() const override { return *model_; }
  const federated::ClientData& data() const override { return *clients_; }
  const federated::LocalOptions& local() const override { return experiment_.client; }
  std::uint64_t own_examples() const override { return experiment_.own_data ? static_cast<std::uint64_t>(data_.train.count) : 0; }

  const Experiment& experiment() const { return experiment_; }
  const core::Dataset& dataset() const { return data_; }
  /// The model's options with what the data adds to them.
  const core::ModelOptions& shape() const { return shape_; }
  /// Empty where the data is the nodes' own, or made client by client.
  const core::Partition& parts() const { return parts_; }

 private:
  Experiment experiment_;
  core::Dataset data_;
  core::ModelOptions shape_;
  core::Partition parts_;
  std::unique_ptr<federated::ClientData> clients_;
  std::unique_ptr<core::TrainableModel> model_;
};

/// For the "client" service of a node.
std::unique_ptr<federated::ClientSide> make_client_side(const federated::ClientJob& job, const std::filesystem::path& data_folder);

}  // namespace starling::tools

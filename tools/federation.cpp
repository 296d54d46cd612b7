#include "tools/federation.h"

#include <utility>

#include "core/error.h"

namespace starling::tools {

Federation::Federation(Experiment experiment, std::filesystem::path data_folder, std::int64_t node, std::int64_t nodes) : experiment_(std::move(experiment)) {
  core::check(!experiment_.own_data || node < 0 || !data_folder.empty(), core::Kind::missing,
              "[data] own = true, but this node has no data of its own: start it with --data DIR");
  if (!data_folder.empty()) {
    experiment_.data.path = data_folder;  // whatever folder the server names is none of this node's
    experiment_.data.folder = std::move(data_folder);
  }
  data_ = core::load_dataset(experiment_.data);
  core::check(experiment_.attack.kind != "label-flip" || !(experiment_.own_data || data_.made_per_client), core::Kind::usage,
              "[attack] kind = 'label-flip': only where one set is dealt to all clients can labels be turned");
  if (experiment_.own_data) {
    if (node >= 0) clients_ = std::make_unique<federated::OwnData>(data_.train, node, nodes);
  } else if (data_.made_per_client) {
    core::check(experiment_.partition.kind == "iid", core::Kind::usage, "[data] partition = '{}': synthetic data is made client by client, give alpha and beta", experiment_.partition.kind);
    clients_ = std::make_unique<federated::GeneratedData>(experiment_.data.synthetic, experiment_.partition.clients);
  } else {
    parts_ = core::partition(experiment_.partition, static_cast<std::size_t>(data_.train.count), data_.train.labels, data_.owners);
    if (experiment_.partition.kind == "noise") core::add_noise(parts_, experiment_.noise, experiment_.seed, data_.train);
    federated::Attack(experiment_.attack, static_cast<std::int64_t>(parts_.size())).poison(parts_, data_.classes, data_.train);
    clients_ = std::make_unique<federated::PartitionedData>(data_.train, parts_);
  }
  shape_ = experiment_.model;
  shape_.input = data_.input;
  shape_.classes = data_.classes;
  model_ = core::make_model(shape_);
  experiment_.client.input = data_.input;
}

std::unique_ptr<federated::ClientSide> make_client_side(const federated::ClientJob& job, const std::filesystem::path& data_folder) {
  return std::make_unique<Federation>(parse_experiment(job.experiment, "the server's experiment"), data_folder, job.node, job.nodes);
}

}  // namespace starling::tools

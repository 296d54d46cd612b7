#include "tools/federated_run.h"

#include <optional>

#include "core/error.h"
#include "core/train/load_checkpoint.h"
#include "federated/attacked_workplace.h"
#include "federated/wall_timeline.h"
#include "sim/virtual_timeline.h"

namespace starling::tools {

std::int64_t clients_of(const Federation& federation, std::span<const std::uint64_t> own) {
  return federation.experiment().own_data ? static_cast<std::int64_t>(own.size()) : federation.data().clients();
}

federated::RunResult run_federation(const Federation& federation, std::span<const std::uint64_t> own, federated::Workplace& workplace, const FederatedRun& run) {
  const Experiment& e = federation.experiment();
  const bool wall = e.clock == "wall";
  const std::int64_t clients = clients_of(federation, own);
  std::optional<federated::Attack> attack;
  std::unique_ptr<federated::Workplace> attacked;
  if (e.attack.kind != "none") {
    attack.emplace(e.attack, clients);
    core::check(!wall || !attack->needs_seen(), core::Kind::usage, "[attack] kind = '{}': has to see what others will send, which needs clock = 'virtual'", e.attack.kind);
    attacked = federated::attacked(workplace, *attack);
  }
  federated::Workplace& place = attacked ? *attacked : workplace;

  sim::DeviceOptions device_options = e.devices;
  device_options.clients = clients;
  const sim::Devices devices(device_options);
  const federated::ReachablePopulation reachable(clients, place);
  const auto examples = [&](std::int64_t client) {
    return e.own_data ? static_cast<std::int64_t>(own[static_cast<std::size_t>(client)]) : federation.data().count(client);
  };
  sim::VirtualTimeline virtual_time(devices, e.client, examples, place);
  federated::WallTimeline wall_time(place);

  std::vector<float> initial;
  if (!e.checkpoint.empty() && !run.resumed) {
    core::Parameters parameters(federation.model().layout());
    core::load_checkpoint(parameters, e.checkpoint);
    initial = std::move(parameters.values);
  }

  federated::RunOptions options{e.policy, e.strategy, run.evaluate_every, run.threads, run.journal, run.id};
  options.strategy.clients = clients;
  options.strategy.client_learning_rate = e.client.learning_rate;
  return federated::run(federation.model(), federation.dataset().test, options, wall ? static_cast<const federated::Population&>(reachable) : devices, place,
                        wall ? static_cast<federated::Timeline&>(wall_time) : virtual_time, run.hooks, run.resumed, initial);
}

}  // namespace starling::tools

#include "tools/services.h"

#include <malloc.h>

#include "federated/client_service.h"
#include "partition/probe.h"
#include "tools/federation.h"

namespace starling::tools {

std::vector<comm::Service> node_services(const NodeSettings& settings) {
  // What a job allocated goes back to the system as soon as it ends, not at the next job.
  const auto tidy = [](auto serve) {
    return [serve](comm::Transport& transport, core::Bytes job) {
      struct Trim {
        ~Trim() { ::malloc_trim(0); }
      } const trim;
      serve(transport, job);
    };
  };
  const partition::NodeBudget budget = settings.budget;
  return {
      {partition::kShardService, tidy([budget](comm::Transport& transport, core::Bytes job) {
         partition::serve_shard(transport, job, budget);
       })},
      {partition::kProbeService, tidy([budget](comm::Transport& transport, core::Bytes) {
         partition::serve_probe(transport, budget);
       })},
      {federated::kClientService, tidy([settings](comm::Transport& transport, core::Bytes job) {
         federated::serve_clients(transport, job, {settings.budget.threads, settings.states, [&](const federated::ClientJob& j) { return make_client_side(j, settings.data); }});
       })},
  };
}

}  // namespace starling::tools

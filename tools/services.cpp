#include "tools/services.h"

#include <malloc.h>

#include "partition/probe.h"

namespace starling::tools {

std::vector<comm::Service> node_services(const partition::NodeBudget& budget) {
  // What a job allocated goes back to the system as soon as it ends, not at the next job.
  const auto tidy = [](auto serve) {
    return [serve](comm::Transport& transport, core::Bytes settings) {
      struct Trim {
        ~Trim() { ::malloc_trim(0); }
      } const trim;
      serve(transport, settings);
    };
  };
  return {
      {partition::kShardService, tidy([budget](comm::Transport& transport, core::Bytes settings) {
         partition::serve_shard(transport, settings, budget);
       })},
      {partition::kProbeService, tidy([budget](comm::Transport& transport, core::Bytes) {
         partition::serve_probe(transport, budget);
       })},
  };
}

}  // namespace starling::tools

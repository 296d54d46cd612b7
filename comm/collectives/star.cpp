// Star: workers send their operands to rank 0, which adds and sends the sum back. Two latencies, the fewest
// messages, everything through the master's link (TPI-LLM, Li et al. 2024, section 3.2).
#include "comm/collectives/reduction.h"

namespace starling::comm::algorithms {
namespace {

struct Star {
  template <class Part>
  static void reduce(const Reduction<Part>& r) {
    if (r.rank() != 0) {
      r.send(0, r.parts);
      r.receive(0, r.total);
      return;
    }
    add_operands_of(r, others(r.scratch, 1, r.size(), 0), r.parts);
    round_to(r.parts, r.total);
    for (Rank rank = 1; rank < r.size(); ++rank) r.send(rank, r.total);
  }

  static Work work(Rank ranks, Payload p) {
    const double n = ranks - 1;
    const double in = static_cast<double>(p.operand_bytes), out = static_cast<double>(p.total_bytes);
    return {.latencies = 2,
            .chain_messages = n + 1,
            .chain_bytes = n * (in + out),
            .chain_sum_bytes = n * in,
            .all_messages = 2 * n,
            .all_bytes = n * (in + out),
            .all_sum_bytes = n * in};
  }
};

}  // namespace

Collective star() { return entry<Star>("star", "through rank 0: two latencies, fewest messages", false); }

}  // namespace starling::comm::algorithms

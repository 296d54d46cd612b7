// Full exchange: every rank sends its whole operand to every other at once and adds for itself. One latency,
// where the star needs two, for n (n - 1) messages.
#include "comm/collectives/reduction.h"

namespace starling::comm::algorithms {
namespace {

struct Exchange {
  template <class Part>
  static void reduce(const Reduction<Part>& r) {
    // Everybody begins with another receiver, so that no access link has to take in everything at once.
    for (Rank step = 1; step < r.size(); ++step) r.send((r.rank() + step) % r.size(), r.parts);
    add_operands_of(r, others(r.scratch, 0, r.size(), r.rank()), r.parts);
    round_to(r.parts, r.total);
  }

  static Work work(Rank ranks, Payload p) {
    const double n = ranks - 1;
    const double in = static_cast<double>(p.operand_bytes);
    return {.latencies = 1,
            .chain_messages = n,
            .chain_bytes = n * in,
            .chain_sum_bytes = n * in,
            .all_messages = ranks * n,
            .all_bytes = ranks * n * in,
            .all_sum_bytes = ranks * n * in};
  }
};

}  // namespace

Collective exchange() { return entry<Exchange>("exchange", "everyone to everyone: one latency, most bytes", true); }

}  // namespace starling::comm::algorithms

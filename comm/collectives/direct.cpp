// Direct reduce-scatter and all-gather: slice j of every operand goes straight to rank j, which adds it and
// sends the sum to all. The star's two latencies with the ring's bytes, for 2 n (n - 1) messages.
#include "comm/collectives/reduction.h"

namespace starling::comm::algorithms {
namespace {

struct Direct {
  template <class Part>
  static void reduce(const Reduction<Part>& r) {
    const Rank n = r.size();
    for (Rank step = 1; step < n; ++step) {
      const Rank to = (r.rank() + step) % n;
      const std::span<Part> theirs = part_of(r.parts, to, n);
      if (!theirs.empty()) r.send(to, theirs);
    }
    const std::span<Part> own = part_of(r.parts, r.rank(), n);
    const std::span<float> sum = part_of(r.total, r.rank(), n);
    if (!own.empty()) {
      add_operands_of(r, others(r.scratch, 0, n, r.rank()), own);
      round_to(own, sum);
      for (Rank step = 1; step < n; ++step) r.send((r.rank() + step) % n, sum);
    }
    // Where there are fewer elements than ranks, the last ranks own nothing and have nothing to send.
    const Rank owners = static_cast<Rank>(std::min(r.parts.size(), static_cast<std::size_t>(n)));
    in_arrival_order(r.transport, others(r.scratch, 0, owners, r.rank()), r.deadline,
                     [&](Rank rank) { r.receive(rank, part_of(r.total, rank, n)); });
  }

  static Work work(Rank ranks, Payload p) { return scattered_work(ranks, p, 2); }
};

}  // namespace

Collective direct() { return entry<Direct>("direct", "each rank adds one slice: two latencies, most messages", true); }

}  // namespace starling::comm::algorithms

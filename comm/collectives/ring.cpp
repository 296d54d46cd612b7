// Ring: reduce-scatter and all-gather over neighbours (Patarasuk and Yuan 2009). The fewest bytes per link, but
// 2 (n - 1) latencies.
#include "comm/collectives/reduction.h"

namespace starling::comm::algorithms {
namespace {

struct Ring {
  template <class Part>
  static void reduce(const Reduction<Part>& r) {
    const Rank n = r.size();
    const Rank right = (r.rank() + 1) % n, left = (r.rank() + n - 1) % n;
    const auto chunk = [&](auto values, Rank index) { return part_of(values, ((index % n) + n) % n, n); };
    // Chunks of operands shorter than the ring are empty, and nobody sends those.
    const auto pass_on = [&](auto values) {
      if (!values.empty()) r.send(right, values);
    };
    for (Rank step = 0; step < n - 1; ++step) {
      pass_on(chunk(r.parts, r.rank() - step));
      const std::span<Part> own = chunk(r.parts, r.rank() - step - 1);
      if (own.empty()) continue;
      const std::span<std::byte> bytes = r.scratch.get(kSlots, own.size_bytes());
      const std::span<Part> partial(reinterpret_cast<Part*>(bytes.data()), own.size());
      r.receive(left, partial);
      add(own, partial);
    }
    round_to(chunk(r.parts, r.rank() + 1), chunk(r.total, r.rank() + 1));
    for (Rank step = 0; step < n - 1; ++step) {
      pass_on(chunk(r.total, r.rank() + 1 - step));
      const std::span<float> next = chunk(r.total, r.rank() - step);
      if (!next.empty()) r.receive(left, next);
    }
  }

  static Work work(Rank ranks, Payload p) { return scattered_work(ranks, p, 2.0 * (ranks - 1)); }
};

}  // namespace

Collective ring() { return entry<Ring>("ring", "neighbours only: fewest bytes per link, 2 (n - 1) latencies", true); }

}  // namespace starling::comm::algorithms

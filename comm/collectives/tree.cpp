// Binomial tree: reduce towards rank 0, broadcast back. 2 ceil(log2 n) latencies, and no link carries more than
// that many operands.
#include <bit>

#include "comm/collectives/reduction.h"

namespace starling::comm::algorithms {
namespace {

struct Tree {
  template <class Part>
  static void reduce(const Reduction<Part>& r) {
    const auto rank = static_cast<unsigned>(r.rank());
    const auto size = static_cast<unsigned>(r.size());
    // The children of a rank add one bit below its lowest set bit.
    const unsigned reach = rank == 0 ? std::bit_ceil(size) : rank & -rank;
    const std::span<std::byte> bytes = r.scratch.get(kSources, sizeof(Rank) * 32);
    auto* const children = reinterpret_cast<Rank*>(bytes.data());
    std::size_t count = 0;
    for (unsigned bit = 1; bit < reach && rank + bit < size; bit *= 2) children[count++] = static_cast<Rank>(rank + bit);

    add_operands_of(r, {children, count}, r.parts);
    if (rank == 0) {
      round_to(r.parts, r.total);
    } else {
      const auto parent = static_cast<Rank>(rank - reach);
      r.send(parent, r.parts);
      r.receive(parent, r.total);
    }
    // The deepest subtree first: it has the longest way to go.
    for (unsigned bit = std::bit_ceil(size); bit > 0; bit /= 2)
      if (bit < reach && rank + bit < size) r.send(static_cast<Rank>(rank + bit), r.total);
  }

  static Work work(Rank ranks, Payload p) {
    const double depth = std::bit_width(static_cast<unsigned>(ranks - 1));
    const double n = ranks - 1;
    const double in = static_cast<double>(p.operand_bytes), out = static_cast<double>(p.total_bytes);
    return {.latencies = 2 * depth,
            .chain_messages = 2 * depth,
            .chain_bytes = depth * (in + out),
            .chain_sum_bytes = depth * in,
            .all_messages = 2 * n,
            .all_bytes = n * (in + out),
            .all_sum_bytes = n * in};
  }
};

}  // namespace

Collective tree() { return entry<Tree>("tree", "binomial: 2 ceil(log2 n) latencies, few bytes per link", true); }

}  // namespace starling::comm::algorithms

// All-reduce algorithms as free functions over a Transport, listed in collectives/all.def, each with the
// formula of its cost. The exact sum (doubles on a grid, see core/group.h) has the same bits for all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "comm/transport.h"

namespace starling::comm {

/// Receive buffers of the collectives: grown on first use, then kept, so that the per-token path does not
/// allocate.
class Scratch {
 public:
  /// Buffer `index`, at least `bytes` long, 64-byte aligned, contents unspecified, valid until the same index
  /// is asked for again.
  std::span<std::byte> get(std::size_t index, std::size_t bytes);

  /// Longer operands are reduced piece by piece, so that what a rank has to take in before it asks for it stays
  /// below Limits::queue_bytes_max. The same on every rank.
  std::size_t segment_bytes_max = std::size_t{4} << 20;

 private:
  struct Buffer {
    std::shared_ptr<std::byte> memory;
    std::size_t bytes = 0;
  };
  std::vector<Buffer> buffers_;
};

/// What a link and the CPUs cost; seconds and bytes per second.
struct LinkCost {
  double latency_s = 20e-6;       // tau: one way, rank to rank
  double bytes_per_s = 1e9;       // of one rank's access link, each direction
  double message_cpu_s = 4e-6;    // CPU time of sending plus receiving one message
  double copy_bytes_per_s = 4e9;  // CPU time of sending plus receiving its bytes
  double sum_bytes_per_s = 4e9;   // adding one operand
  double ranks_per_core = 1;      // above 1, CPU times of ranks on one machine add up

  friend bool operator==(const LinkCost&, const LinkCost&) = default;
};

/// Bytes of one all-reduce on each rank: partial sums go in (8 or 4 bytes an element), totals come out (4).
struct Payload {
  std::uint64_t operand_bytes = 0;
  std::uint64_t total_bytes = 0;

  static Payload of(std::size_t elements, core::Sum sum) {
    return {elements * (sum == core::Sum::exact ? sizeof(double) : sizeof(float)), elements * sizeof(float)};
  }
  friend bool operator==(const Payload&, const Payload&) = default;
};

/// What one call costs, as an algorithm's formula counts it. "chain": one after the other, on the path that
/// ends last; "all": of all ranks together, which is what counts where they share cores.
struct Work {
  double latencies = 0;
  double chain_messages = 0;  // sent or received by the busiest rank, a pair counted as one
  double chain_bytes = 0;     // through the busiest access link, one after the other
  double chain_sum_bytes = 0;
  double all_messages = 0;
  double all_bytes = 0;  // payloads, without headers
  double all_sum_bytes = 0;
};

struct Collective {
  std::string_view name;
  std::string_view summary;
  bool needs_peer_links;  // workers exchange frames directly
  void (*sum_exact)(Transport&, Scratch&, std::span<double> parts, std::span<float> total, Deadline);
  void (*sum_fast)(Transport&, Scratch&, std::span<float> parts, Deadline);
  /// The cost formula, for at least one element per rank.
  Work (*work)(Rank ranks, Payload payload);
};

/// Predicted seconds of one call on `ranks` ranks.
double cost(const Collective& collective, const LinkCost& link, Rank ranks, Payload payload);

std::span<const Collective> collectives();
/// Kind::usage with the list of known names when `name` is unknown.
const Collective& collective(std::string_view name);

/// Tree broadcast from `root`, and the gather/scatter/barrier that jobs and tests use. Every rank calls. All
/// but broadcast need only the links of `root` (barrier: of rank 0).
void broadcast(Transport&, Rank root, std::span<std::byte> data, Deadline);
/// `all` holds size() parts of part.size() bytes, by rank; only the root's is written.
void gather(Transport&, Rank root, core::Bytes part, std::span<std::byte> all, Deadline);
void scatter(Transport&, Rank root, core::Bytes all, std::span<std::byte> part, Deadline);
void barrier(Transport&, Deadline);

}  // namespace starling::comm

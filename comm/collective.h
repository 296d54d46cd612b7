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
  /// Buffer `index`, at least `bytes` long, 64-byte aligned, contents unspecified.
  std::span<std::byte> get(std::size_t index, std::size_t bytes);

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
  double sum_bytes_per_s = 4e9;   // adding one operand
  double ranks_per_core = 1;      // above 1, CPU times of ranks on one machine add up
};

struct Collective {
  std::string_view name;
  std::string_view summary;
  void (*sum_exact)(Transport&, Scratch&, std::span<double> parts, std::span<float> total, Deadline);
  void (*sum_fast)(Transport&, Scratch&, std::span<float> parts, Deadline);
  /// Predicted seconds of one call with `bytes` of operand on each of `ranks`.
  double (*cost)(const LinkCost&, Rank ranks, std::uint64_t bytes);
  bool needs_peer_links;  // workers exchange frames directly
};

std::span<const Collective> collectives();
/// Kind::usage with the list of known names when `name` is unknown.
const Collective& collective(std::string_view name);

/// Tree broadcast from `root`, and the gather/scatter/barrier that jobs and tests use. Every rank calls.
void broadcast(Transport&, Rank root, std::span<std::byte> data, Deadline);
/// `all` holds size() parts of part.size() bytes, by rank; only the root's is written.
void gather(Transport&, Rank root, core::Bytes part, std::span<std::byte> all, Deadline);
void scatter(Transport&, Rank root, core::Bytes all, std::span<std::byte> part, Deadline);
void barrier(Transport&, Deadline);

}  // namespace starling::comm

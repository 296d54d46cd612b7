// Measuring links: rank 0 asks, the others serve. One command frame says what comes next; all frames are of
// Kind::probe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "comm/collective.h"

namespace starling::comm {

/// What rank 0 tells a worker to do. Four little-endian u64 on the wire.
struct ProbeCommand {
  enum class Task : std::uint64_t {
    echo = 1,   // a times: take in a frame of b bytes and send it back
    sink = 2,   // a times: take in a frame of b bytes; then send back an empty one
    trial = 3,  // c calls of algorithm a on b elements; then send back the median seconds (f64)
    done = 4,   // a choices follow as one frame of a u64, the algorithms' places in the table
  };
  Task task = Task::done;
  std::uint64_t a = 0, b = 0, c = 0;
};

inline constexpr std::uint64_t kProbeFramesMax = 4096;
inline constexpr std::uint64_t kProbeBytesMax = std::uint64_t{4} << 20;

void send_command(Transport& transport, Rank to, const ProbeCommand& command, Deadline deadline);
/// Kind::malformed when it is no valid command.
ProbeCommand receive_command(Transport& transport, Deadline deadline);
/// The worker's half of echo and sink.
void serve_link(Transport& transport, Scratch& scratch, const ProbeCommand& command, Deadline deadline);

/// Rank 0's half: the worst latency and rate of its links, and what messages cost its CPU. About ten round trips
/// and one push of some ten latencies per worker.
LinkCost measure_links(Transport& transport, Scratch& scratch, Deadline deadline);

/// Who shares cores with whom, and who reaches whom.
struct Census {
  double ranks_per_core = 1;  // on the most crowded machine
  bool all_linked = true;
  Rank from = 0, to = 0;  // a pair that is not linked
};
/// Every rank calls; all get the same answer.
Census take_census(Transport& transport, Deadline deadline);

}  // namespace starling::comm

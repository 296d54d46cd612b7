// The "probe" service: how fast a device multiplies a matrix by a vector, which is what decoding costs. Shares
// follow it when the user gives none.
#pragma once

#include <string_view>
#include <vector>

#include "comm/transport.h"
#include "partition/shard.h"

namespace starling::partition {

inline constexpr std::string_view kProbeService = "probe";

/// Weight bytes per second of this device with `threads` threads, measured for about 100 ms.
double measure_speed(int threads);

/// The worker's half: measures and reports.
void serve_probe(comm::Transport& transport, const NodeBudget& budget);

/// Every rank's speed, by rank, measured one after the other so that ranks on one machine do not disturb each
/// other.
std::vector<double> probe_speeds(comm::Transport& transport, int threads);

}  // namespace starling::partition

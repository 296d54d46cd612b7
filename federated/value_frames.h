// Models on the wire: raw F32 in data frames of bounded size.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "comm/transport.h"

namespace starling::federated {

void send_values(comm::Transport& transport, comm::Rank to, std::span<const float> values);
std::vector<float> receive_values(comm::Transport& transport, comm::Rank from, std::uint64_t count);
/// Of the frames of so many values, headers included.
std::uint64_t value_frames_bytes(std::uint64_t count);

}  // namespace starling::federated

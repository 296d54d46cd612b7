// A slice of weights on its way from the master to a worker: one announcement a tensor, then its bytes in
// frames of bounded size. The receiver knows what must come and takes nothing else.
#pragma once

#include <vector>

#include "comm/transport.h"
#include "core/models/llama.h"
#include "partition/shard_messages.h"

namespace starling::partition {

/// Frames of a tensor carry at most this many bytes.
inline constexpr std::size_t kChunkBytes = std::size_t{4} << 20;

/// Cuts and sends one layer at a time, so that the master never holds two copies of more than a block.
void send_slice(comm::Transport& transport, core::Rank to, const core::LlamaModel& model,
                const core::LlamaSlice& slice);

/// Kind::malformed naming the peer, layer and tensor when what comes is not the planned slice; Kind::refused
/// when it would exceed `bytes_max` (0: no limit).
std::vector<core::LlamaBlock> receive_slice(comm::Transport& transport, const ShardJob& job,
                                            std::uint64_t bytes_max);

}  // namespace starling::partition

// One rank of a group as a session of two: for services that talk to each node by itself, over a transport whose ranks
// come as a whole (MPI).
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>

#include "comm/transport.h"

namespace starling::comm {

/// What the views of one transport share; only they use it.
struct SharedTransport {
  explicit SharedTransport(Transport& t) : transport(t) {}
  Transport& transport;
  std::mutex mutex;
  std::condition_variable pause;  // nobody ends it early: it only lets the others in
};

/// This side stays rank 0, `rank` of the shared transport becomes rank 1. Views may be used by a thread each: one that
/// waits lets the others in, looking again a few thousand times a second.
std::unique_ptr<Transport> rank_view(std::shared_ptr<SharedTransport> shared, Rank rank);

}  // namespace starling::comm

// A peer or a network that misbehaves: a decorator around a pipe that spoils what is sent. Seeded, so that a
// failing run can be had again. For tests of what the receiver does about it.
#pragma once

#include <memory>
#include <vector>

#include "comm/transports/pipe.h"

namespace starling::comm {

enum class Fault {
  dead,           // the process is gone: the pipe closes without a goodbye
  silent,         // the process is stopped: the pipe stays open and nothing comes any more
  cut_short,      // dies in the middle of a frame
  garbage,        // random bytes instead of a frame
  flip_header,    // one random bit of the header
  flip_payload,   // one random bit of the payload
  duplicate,      // the frame comes twice
  drop,           // the frame never comes
  wrong_version,  // of the next protocol
  wrong_session,
  old_epoch,
  wrong_sender,
  oversize,       // announces 2^64 - 1 bytes
  delay,          // comes later
};

struct FaultPlan {
  Fault fault = Fault::dead;
  std::uint64_t at_frame = 0;  // the first frame to spoil, heartbeats not counted
  std::uint64_t seed = 1;
  Clock::duration delay{};
};

/// The pipe whose writes suffer `plan`; reads are untouched.
std::unique_ptr<Pipe> faulty(std::unique_ptr<Pipe> inner, const FaultPlan& plan);

}  // namespace starling::comm

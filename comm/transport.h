// One group of ranks joined pairwise by ordered pipes of frames. Four implementations (transports/): threads
// of one process, TCP, ZeroMQ, MPI. Everything above (collectives, jobs) uses only this.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include "comm/frame.h"
#include "core/error.h"
#include "core/group.h"

namespace starling::comm {

using core::Rank;
using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

inline Deadline after(Clock::duration d) { return Clock::now() + d; }
/// For waits that end only when the peer answers, fails or falls silent.
inline constexpr Deadline kNoDeadline = Deadline::max();

struct Limits {
  std::uint64_t frame_bytes_max = std::uint64_t{1} << 30;  // a longer frame is refused before allocation
  std::uint64_t queue_bytes_max = std::uint64_t{64} << 20;  // frames taken in but not yet asked for, per peer
  Clock::duration silence_max = std::chrono::seconds(3);    // no frame and no heartbeat for so long: unreachable
  Clock::duration heartbeat_every = std::chrono::milliseconds(500);
};

struct Incoming {
  Kind kind = Kind::heartbeat;
  std::uint64_t length = 0;
};

struct Counters {
  std::uint64_t bytes_sent = 0, bytes_received = 0;  // headers included
  std::uint64_t frames_sent = 0, frames_received = 0;
};

/// One thread uses a Transport at a time, but for send_heartbeats(), which any thread may call.
///
/// Waits end with core::Error: timeout (the deadline passed), unreachable (the peer closed, or was silent for
/// Limits::silence_max), malformed (what arrived is no valid next frame of this session: wrong checksum,
/// sequence, session, epoch or sender), overloaded (a bound of Limits would be passed). The message names the
/// peer. After an error on a peer every later call on that peer fails the same way, but for a deadline that
/// passed before a byte of the frame moved: then the call may be repeated. A wait for one peer ends also when
/// another peer of the group fails, with an error that names that one.
///
/// Heartbeats and aborts never reach the caller: the first are dropped (they only prove life), the second are
/// thrown with the kind and text that the peer gave.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual Rank rank() const = 0;
  virtual Rank size() const = 0;
  /// How messages name a rank: "node-2 (tcp://10.0.0.7:7070)".
  virtual std::string name(Rank peer) const = 0;

  /// Returns when the payload may be reused. While the pipe is full it keeps taking in frames from all peers
  /// (up to Limits::queue_bytes_max each), so that two ranks that send to each other do not block each other;
  /// a frame larger than that bound needs its receiver to be in read().
  virtual void send(Rank to, Kind kind, core::Bytes payload, Deadline deadline) = 0;
  /// Header of the next frame from `from`; the payload stays pending until read(), and next() called again
  /// returns the same frame.
  virtual Incoming next(Rank from, Deadline deadline) = 0;
  /// The pending frame's payload into `into` (exactly Incoming::length bytes), straight from the pipe where
  /// the frame is large. Verifies the checksum.
  virtual void read(Rank from, std::span<std::byte> into, Deadline deadline) = 0;
  /// A rank of `among` for which next() will not wait: a frame is there, or the peer failed. The ranks that
  /// have waited longest come first, so that none starves.
  virtual Rank wait_any(std::span<const Rank> among, Deadline deadline) = 0;

  /// One heartbeat to every peer, without waiting: a pipe that is full or in use is skipped.
  virtual void send_heartbeats() = 0;
  virtual Counters counters(Rank peer) const = 0;
};

/// next() and read() of a frame that must be of `kind` and exactly as long as `into`. Kind::malformed otherwise.
void receive(Transport& transport, Rank from, Kind kind, std::span<std::byte> into, Deadline deadline);

/// Tells every peer why this rank gives up (Kind::abort), as far as their pipes take it in a short time; the peers'
/// waits end with that error. Nothing can be sent afterwards. For catch blocks: throws nothing.
void abort_session(Transport& transport, const core::Error& why) noexcept;

}  // namespace starling::comm

// What a transport must provide: pipes of bytes to each peer, and a way to sleep until one of them moves.
// Framing, checks, queues, waits and errors are the same for all transports (link.h, piped.h).
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>

#include "comm/transport.h"

namespace starling::comm {

/// Both directions of an ordered stream of bytes with one peer. No call waits. write() may run in another
/// thread than read(), but never twice at a time.
class Pipe {
 public:
  virtual ~Pipe() = default;
  /// Takes bytes of `head` and then of `body`; how many it took (0: full at the moment), or nullopt when the
  /// pipe is closed.
  virtual std::optional<std::size_t> write(core::Bytes head, core::Bytes body) = 0;
  /// How many bytes came into `into` (0: nothing there at the moment), or nullopt when the pipe is closed and
  /// empty.
  virtual std::optional<std::size_t> read(std::span<std::byte> into) = 0;
  /// The transport's own pipe below any decorators, for its Sleeper; null when that is closed.
  virtual Pipe* native() { return this; }
  /// The peer competes for the cores of this machine, as far as one can tell.
  virtual bool same_machine() const { return true; }
};

struct Interest {
  Pipe* pipe = nullptr;
  bool read = false;
  bool write = false;
};

/// How the owner of the pipes of one transport sleeps.
class Sleeper {
 public:
  virtual ~Sleeper() = default;
  /// Returns when an interest may be met, at the latest at `until`; early returns do no harm.
  virtual void sleep(std::span<const Interest> interests, Deadline until) = 0;
  /// Comes with every round of heartbeats, from any thread: time to answer strangers.
  virtual void housekeep() {}
};

/// How a wait spends its time before it sleeps. Sleeping and waking cost some 10-50 us, which is more than a
/// small message takes. Giving way between questions costs 0.3 us where nobody else wants the core, and measured
/// no slower than asking without pause, which made 8 KB between two ranks that happened to share a core take
/// 130 us instead of 30. Giving way is counted rather than timed: beside busy programs one turn of theirs takes
/// milliseconds, and a rank that then slept instead waited longer still (p99 of four ranks on two busy cores:
/// 40 ms with 200 us, 7 ms with 2000 turns).
struct WaitPolicy {
  std::chrono::nanoseconds spin{0};                 // ask again and again
  int turns = 2000;                                 // then let other threads run between questions; then sleep,
  std::chrono::nanoseconds awake_max{100'000'000};  // after this long at the latest: other peers may have failed
};

/// The policy for a rank that shares this machine with `ranks_here` ranks in all.
WaitPolicy wait_policy(int ranks_here);

}  // namespace starling::comm

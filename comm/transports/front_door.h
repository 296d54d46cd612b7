// Who may come in at a node: takes hellos from new connections, keeps one master and the peers of the running
// session, and refuses everybody else by name. Thread-safe; knows no sockets.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "comm/transports/handshake.h"

namespace starling::comm {

struct Arrival {
  Hello hello;
  SessionId id;
  std::string address;
  std::unique_ptr<Pipe> pipe;
};

class FrontDoor {
 public:
  /// Connections in the middle of their handshake; more have to wait outside.
  static constexpr std::size_t kHalfOpenMax = 256;

  explicit FrontDoor(NodeInfo self) : self_(std::move(self)) {}

  /// A new connection from `address`. False when too many are half-open; the pipe is then closed.
  bool admit(std::unique_ptr<Pipe> pipe, std::string address);
  bool full() const;
  /// Goes on with all handshakes and closes those that took too long. True when somebody came in.
  bool step();
  /// For an entrance that sleeps until a half-open connection has something to read.
  void list_half_open(std::vector<Interest>& interests) const;
  std::optional<Deadline> next_expiry() const;

  /// The master that called, if any; its session runs from now on, until end().
  std::optional<Arrival> take_master();
  /// The peer of this rank, if it has come.
  std::optional<Arrival> take_peer(Rank rank);
  void end();
  /// Lets everybody go who is not in the running session, and nobody in any more. Pipes may hold what holds this
  /// door, so that only this ends them all.
  void close();

  const NodeInfo& self() const { return self_; }

 private:
  struct HalfOpen {
    std::unique_ptr<Pipe> pipe;
    std::string address;
    HandshakeReader reader;
    Deadline expires;
  };
  struct Running {
    SessionId id;
    std::uint32_t rank = 0, size = 0;
  };

  bool advance(HalfOpen& one);
  bool receive(HalfOpen& one);
  std::string refusal(const Arrival& arrival) const;

  const NodeInfo self_;
  mutable std::mutex mutex_;
  std::deque<HalfOpen> half_open_;
  std::optional<Arrival> master_;  // not yet taken
  std::vector<Arrival> peers_;     // not yet taken
  std::optional<Running> running_;
  bool closed_ = false;
};

}  // namespace starling::comm

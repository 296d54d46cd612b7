// How a group comes to be: nodes listen, a master connects to them, rank 0 hands out the addresses and the
// workers connect to each other. One line per URI scheme in transports/all.def (tcp://, zmq+tcp://).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "comm/transport.h"

namespace starling::comm {

struct NodeInfo {
  std::string name;
  int threads = 1;
  std::uint64_t memory_bytes = 0;
  std::string simd;
  std::string version;
};

/// A node's front door.
class Listener {
 public:
  virtual ~Listener() = default;
  /// The address in use, with the real port where 0 was asked for.
  virtual std::string uri() const = 0;
  /// Waits for a master, then joins the group that it leads; returns when all links that can be made are
  /// made. A connection that sends anything but a valid hello is answered with a refusal where possible and
  /// closed, and the wait goes on; so does a master that disappears before the group stands. A second master
  /// that calls while a job runs is refused by name ("busy"). Kind::timeout when nobody came.
  virtual std::unique_ptr<Transport> accept(Deadline deadline) = 0;
};

/// Kind::refused when the address cannot be used, Kind::usage for an unknown scheme or a malformed URI.
std::unique_ptr<Listener> listen(std::string_view uri, const NodeInfo& self, const Limits& limits);

struct ConnectOptions {
  NodeInfo self;
  std::uint64_t session = 0;
  std::uint32_t epoch = 0;
  Limits limits;
  Deadline deadline = kNoDeadline;
  /// The address by which rank `from` reaches rank `to` (a relay may stand between); empty: as given.
  std::function<std::string(Rank from, Rank to, const std::string& uri)> route;
};

struct Connected {
  std::unique_ptr<Transport> transport;  // rank 0 of uris.size() + 1
  std::vector<NodeInfo> nodes;           // by rank
  std::string missing_links;             // empty: every pair is linked; else one sentence
};

/// The master's side: rank i + 1 is uris[i]. Kind::unreachable / refused / timeout name the address.
Connected connect(std::span<const std::string> uris, const ConnectOptions& options);

/// Ranks of one process: element i is rank i's transport, each used by a thread of its own.
std::vector<std::unique_ptr<Transport>> inproc_group(Rank size, const Limits& limits = {});

}  // namespace starling::comm

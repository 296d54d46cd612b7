// The relay process: one thread that forwards TCP connections between nodes and releases every chunk when the
// nodes' links (sim/link.h) have let it through. Chunks are stamped when read, so that any number is under way;
// reading stops at sim::read_ahead_bytes() of a connection, so that back-pressure reaches the sender.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "sim/link.h"
#include "tools/descriptor.h"

namespace starling::tools {

class RelayLoop {
 public:
  /// `links[i]`: the access link of node i.
  explicit RelayLoop(const std::vector<sim::LinkSpec>& links);
  ~RelayLoop();

  /// A listening port on the loopback interface: who connects is node `from` and reaches node `to` at host:port.
  std::uint16_t add_door(int from, int to, const std::string& host, std::uint16_t port);

  /// Finds by trial how long a byte takes through this process apart from the delay, and releases earlier by
  /// that: the delay then holds from node to node. `node` and `peer` are used for the trial.
  void calibrate(int node, int peer);
  sim::Time advance() const { return advance_; }

  /// Serves until the process ends, or until `stop` is readable.
  void run(int stop = -1);

 private:
  struct Node;
  struct Door;
  struct Pipe;
  struct Connection;

  void accept_all(Door& door);
  void handle(Connection& connection, int fd, std::uint32_t events);
  void read_chunk(Pipe& pipe, sim::Time now);
  /// Lets due chunks enter the receivers' buckets, in the order in which their first bits arrive.
  void pass_arrivals(sim::Time now);
  /// Writes due chunks; false when the connection broke.
  bool release(Pipe& pipe, sim::Time now);
  void update_interest(Connection& connection);
  void reset(Connection& connection);
  sim::Time next_event() const;
  void wait(sim::Time until);
  void dispatch(int timeout_ms);

  Descriptor epoll_, timer_;
  std::vector<Node> nodes_;
  std::vector<std::unique_ptr<Door>> doors_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<std::byte> buffer_;
  sim::Time advance_{0};
  int stop_ = -1;
  bool stopped_ = false;
};

}  // namespace starling::tools

// The relay process: one thread that forwards TCP connections between nodes and releases every chunk when the
// nodes' links (sim/link.h) have let it through. Chunks are stamped when read, so that any number is under way;
// reading stops at sim::read_ahead_bytes() of a connection, so that back-pressure reaches the sender.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/link.h"
#include "tools/relay_pipe.h"

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
  struct Door;

  void accept_all(Door& door);
  void handle(RelayConnection& connection, int fd, std::uint32_t events);
  /// False when the sender has reset its connection.
  bool read_chunk(RelayPipe& pipe, sim::Time now);
  /// Lets due chunks enter the receivers' buckets, in the order in which their first bits arrive.
  void pass_arrivals(sim::Time now);
  /// Writes due chunks; false when the receiver is gone, or a reset of the sender is due.
  bool release(RelayPipe& pipe, sim::Time now);
  void update_interest(RelayConnection& connection);
  void lose(RelayConnection& connection, std::size_t end);
  void reset(RelayConnection& connection);
  sim::Time next_event() const;
  void wait(sim::Time until);
  void dispatch(int timeout_ms);

  Descriptor epoll_, timer_;
  std::vector<RelayNode> nodes_;
  std::vector<std::unique_ptr<Door>> doors_;
  std::vector<std::unique_ptr<RelayConnection>> connections_;
  std::vector<std::byte> buffer_;
  sim::Time advance_{0};
  int stop_ = -1;
  bool stopped_ = false;
};

}  // namespace starling::tools

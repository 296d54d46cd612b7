// What the relay knows of one connection between two nodes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "sim/link.h"
#include "tools/descriptor.h"

namespace starling::tools {

inline constexpr sim::Time kNever = sim::Time::max();

/// A node's access link, shared by all its connections.
struct RelayNode {
  explicit RelayNode(const sim::LinkSpec& spec) : link(spec), up(spec.bytes_per_s), down(spec.bytes_per_s) {}
  sim::LinkSpec link;
  sim::Bucket up, down;
};

/// One direction of a connection.
struct RelayPipe {
  enum class End { none, stream, reset };
  struct Chunk {
    std::vector<std::byte> data;
    End end = End::none;  // nothing comes after it
    std::size_t written = 0;
    sim::Passage at_receiver;    // when its bits reach the receiver's bucket
    sim::Time release = kNever;  // known once it has passed that bucket
  };

  int in = -1, out = -1;
  RelayNode* from = nullptr;
  RelayNode* to = nullptr;
  sim::Time delay{0};
  std::uint64_t chunk_max = 0, queue_max = 0;
  std::deque<Chunk> queue;
  std::size_t passed = 0;  // chunks at the front that have passed the receiver's bucket
  std::uint64_t queued = 0;
  bool read_end = false, blocked = false, done = false;
  sim::Time seen = kNever;  // when bytes that are still unread were known to wait; kNever: none were

  bool may_read() const { return !read_end && queued < queue_max; }

  sim::Time next_event() const {
    sim::Time next = passed < queue.size() ? queue[passed].at_receiver.first : kNever;
    if (passed > 0 && !blocked) next = std::min(next, queue.front().release);
    return next;
  }

  void push(std::vector<std::byte> data, End end, sim::Time sent) {
    const sim::Passage out_of_sender = from->up.pass({sent, sent}, data.size());
    read_end = end != End::none;
    queued += data.size();
    queue.push_back({std::move(data), end, 0, {out_of_sender.first + delay, out_of_sender.last + delay}, kNever});
  }

  /// Its receiver is gone: what is under way will not arrive, and nothing more is sent.
  void give_up() {
    queue.clear();
    passed = queued = 0;
    blocked = false;
    read_end = done = true;
  }
};

struct RelayConnection {
  std::array<Descriptor, 2> sockets;
  std::array<RelayPipe, 2> pipes;  // pipes[i] reads from sockets[i]
  std::array<std::uint32_t, 2> interest{0, 0};
  std::array<bool, 2> lost{false, false};  // that end has reset its connection to the relay
  bool broken = false;
};

}  // namespace starling::tools

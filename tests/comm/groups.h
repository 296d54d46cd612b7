// Groups of every transport, made in one process, for the tests of comm.
#pragma once

#include <optional>

#include "comm/connect.h"
#include "tests/run_ranks.h"

namespace starling::tests {

struct SocketGroup {
  std::vector<std::unique_ptr<comm::Transport>> ranks;
  std::vector<std::unique_ptr<comm::Listener>> listeners;  // [i] is rank i + 1's
  std::vector<std::string> uris;
  std::vector<comm::NodeInfo> nodes;
  std::string missing_links;
};

inline comm::NodeInfo node_info(const std::string& name) { return {name, 2, 1 << 20, "none", "test"}; }

/// Lets nodes that listen at group.uris and a master of this process form a group; fills in the rest.
inline void join(SocketGroup& group, const comm::ConnectOptions& options) {
  const std::size_t size = group.listeners.size() + 1;
  group.ranks.clear();
  group.ranks.resize(size);
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < size; ++i)
    threads.emplace_back([&group, i] {
      try {
        group.ranks[i] = group.listeners[i - 1]->accept(comm::after(std::chrono::seconds(20)));
      } catch (const core::Error& error) {
        FAIL_CHECK("rank ", i, ": ", error.what());
      }
    });
  std::exception_ptr failure;
  try {
    comm::Connected connected = comm::connect(group.uris, options);
    group.ranks[0] = std::move(connected.transport);
    group.nodes = std::move(connected.nodes);
    group.missing_links = std::move(connected.missing_links);
  } catch (...) {
    failure = std::current_exception();
  }
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

inline comm::ConnectOptions connect_options(const comm::Limits& limits = {}) {
  comm::ConnectOptions options;
  options.self = node_info("master-node");
  options.session = 0x5e55;
  options.epoch = 3;
  options.limits = limits;
  options.deadline = comm::after(std::chrono::seconds(20));
  return options;
}

inline SocketGroup listening(const std::string& scheme, Rank size, const comm::Limits& limits = {}) {
  SocketGroup group;
  for (Rank i = 1; i < size; ++i) {
    group.listeners.push_back(comm::listen(scheme + "://127.0.0.1:0", node_info(fmt::format("node-{}", i)), limits));
    group.uris.push_back(group.listeners.back()->uri());
  }
  return group;
}

inline SocketGroup socket_group(const std::string& scheme, Rank size, const comm::Limits& limits = {}) {
  SocketGroup group = listening(scheme, size, limits);
  join(group, connect_options(limits));
  return group;
}

/// Every rank sends its number to every other and checks what it gets.
inline void all_to_all(comm::Transport& t) {
  const comm::Deadline deadline = comm::after(std::chrono::seconds(20));
  for (Rank peer = 0; peer < t.size(); ++peer) {
    if (peer == t.rank()) continue;
    const int value = 100 * t.rank() + peer;
    t.send(peer, comm::Kind::data, std::as_bytes(std::span(&value, 1)), deadline);
  }
  for (Rank peer = t.size() - 1; peer >= 0; --peer) {
    if (peer == t.rank()) continue;
    int value = 0;
    comm::receive(t, peer, comm::Kind::data, std::as_writable_bytes(std::span(&value, 1)), deadline);
    CHECK(value == 100 * peer + t.rank());
  }
}

}  // namespace starling::tests

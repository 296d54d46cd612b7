// The cases every transport passes, as functions of one rank. Run by transports_test.cpp in threads and by
// mpi_world.cpp in processes.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include <doctest/doctest.h>

#include "comm/heartbeat.h"
#include "comm/transport.h"

namespace starling::tests {

using comm::after;
using comm::Kind;
using comm::Rank;
using comm::Transport;

inline comm::Deadline patience() { return after(std::chrono::seconds(60)); }

/// Bytes that tell their place, so that any mix-up shows.
inline std::vector<std::byte> pattern(std::size_t size, std::uint32_t seed) {
  std::vector<std::byte> bytes(size);
  std::uint32_t state = seed * 2654435761u + 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = std::byte(state >> 24);
  }
  return bytes;
}

inline bool same(core::Bytes a, core::Bytes b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

inline std::vector<std::byte> receive_any(Transport& t, Rank from, Kind kind) {
  const comm::Incoming incoming = t.next(from, patience());
  CHECK(incoming.kind == kind);
  std::vector<std::byte> bytes(incoming.length);
  t.read(from, bytes, patience());
  return bytes;
}

/// Ends a case for all ranks together, so that none leaves early.
inline void settle(Transport& t) {
  for (Rank peer = 0; peer < t.size(); ++peer)
    if (peer != t.rank()) t.send(peer, Kind::ready, {}, patience());
  for (Rank peer = 0; peer < t.size(); ++peer)
    if (peer != t.rank()) comm::receive(t, peer, Kind::ready, {}, patience());
}

inline void frames_arrive_in_order(Transport& t) {
  std::mt19937 random(7);  // the same on every rank
  constexpr std::array<Kind, 3> kinds{Kind::data, Kind::step, Kind::reduce};
  for (std::uint32_t i = 0; i < 600; ++i) {
    const std::size_t size = i % 7 == 0 ? 0 : random() % 20000;
    const std::vector<std::byte> payload = pattern(size, i);
    if (t.rank() == 0)
      for (Rank peer = 1; peer < t.size(); ++peer) t.send(peer, kinds[i % 3], payload, patience());
    else
      CHECK(same(receive_any(t, 0, kinds[i % 3]), payload));
  }
}

inline void a_frame_of_256_mb_arrives(Transport& t) {
  const std::size_t size = std::size_t{256} << 20;
  if (t.rank() == 0) {
    const std::vector<std::byte> payload = pattern(size, 1);
    t.send(1, Kind::data, payload, patience());
  } else if (t.rank() == 1) {
    CHECK(same(receive_any(t, 0, Kind::data), pattern(size, 1)));
  }
}

inline void many_small_frames_arrive(Transport& t) {
  constexpr std::uint64_t kCount = 20000;
  if (t.rank() == 0)
    for (std::uint64_t i = 0; i < kCount; ++i) t.send(1, Kind::data, std::as_bytes(std::span(&i, 1)), patience());
  if (t.rank() != 1) return;
  std::uint64_t wrong = 0;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    std::uint64_t value = 0;
    comm::receive(t, 0, Kind::data, std::as_writable_bytes(std::span(&value, 1)), patience());
    wrong += value == i ? 0 : 1;
  }
  CHECK(wrong == 0);
}

/// All ranks send 24 MB to all before anyone reads: the frames wait in the queues of the receivers.
inline void large_frames_cross(Transport& t) {
  const std::size_t size = std::size_t{24} << 20;
  const std::vector<std::byte> mine = pattern(size, static_cast<std::uint32_t>(t.rank()));
  for (Rank peer = 0; peer < t.size(); ++peer)
    if (peer != t.rank()) t.send(peer, Kind::data, mine, patience());
  for (Rank peer = 0; peer < t.size(); ++peer)
    if (peer != t.rank())
      CHECK(same(receive_any(t, peer, Kind::data), pattern(size, static_cast<std::uint32_t>(peer))));
}

inline void a_deadline_ends_a_wait_and_the_link_lives_on(Transport& t) {
  if (t.rank() == 0) {
    const auto start = comm::Clock::now();
    bool timed_out = false;
    try {
      t.next(1, after(std::chrono::milliseconds(60)));
    } catch (const core::Error& error) {
      timed_out = error.kind() == core::Kind::timeout;
      CHECK(std::string(error.what()).find(t.name(1)) == 0);
    }
    const auto waited = comm::Clock::now() - start;
    CHECK(timed_out);
    CHECK(waited >= std::chrono::milliseconds(60));
    CHECK(waited < std::chrono::milliseconds(1500));
    t.send(1, Kind::data, {}, patience());
    comm::receive(t, 1, Kind::data, {}, patience());
  } else if (t.rank() == 1) {
    comm::receive(t, 0, Kind::data, {}, patience());
    t.send(0, Kind::data, {}, patience());
  }
}

inline void any_ready_peer_is_served_and_none_starves(Transport& t) {
  constexpr int kEach = 50;
  if (t.rank() != 0) {
    for (int i = 0; i < kEach; ++i) t.send(0, Kind::data, std::as_bytes(std::span(&i, 1)), patience());
    return;
  }
  std::vector<Rank> among;
  for (Rank peer = 1; peer < t.size(); ++peer) among.push_back(peer);
  std::vector<int> next(among.size() + 1, 0);
  for (int left = kEach * static_cast<int>(among.size()); left > 0; --left) {
    const Rank peer = t.wait_any(among, patience());
    int value = -1;
    comm::receive(t, peer, Kind::data, std::as_writable_bytes(std::span(&value, 1)), patience());
    CHECK(value == next[static_cast<std::size_t>(peer)]++);
    if (next[static_cast<std::size_t>(peer)] == kEach) among.erase(std::find(among.begin(), among.end(), peer));
  }
  CHECK(among.empty());
}

inline void a_pending_frame_can_be_looked_at_again(Transport& t) {
  if (t.rank() == 1) t.send(0, Kind::step, pattern(100000, 5), patience());
  if (t.rank() != 0) return;
  for (int i = 0; i < 3; ++i) {
    const comm::Incoming incoming = t.next(1, patience());
    CHECK(incoming.kind == Kind::step);
    CHECK(incoming.length == 100000);
  }
  std::vector<std::byte> wrong(99999);
  CHECK_THROWS_AS(t.read(1, wrong, patience()), core::Error);
  CHECK(same(receive_any(t, 1, Kind::step), pattern(100000, 5)));
}

inline void counters_count_every_byte(Transport& t) {
  const Rank peer = t.rank() == 0 ? 1 : 0;
  if (t.rank() > 1) return;
  const comm::Counters before = t.counters(peer);
  t.send(peer, Kind::data, pattern(1000, 1), patience());
  receive_any(t, peer, Kind::data);
  const comm::Counters now = t.counters(peer);
  const std::uint64_t heartbeats_sent = now.frames_sent - before.frames_sent - 1;
  const std::uint64_t heartbeats_received = now.frames_received - before.frames_received - 1;
  CHECK(now.bytes_sent - before.bytes_sent == 1056 + 56 * heartbeats_sent);
  CHECK(now.bytes_received - before.bytes_received == 1056 + 56 * heartbeats_received);
}

inline void heartbeats_of_another_thread_never_tear_frames(Transport& t) {
  const comm::Heartbeat heart(t, std::chrono::microseconds(50));
  const Rank peer = t.rank() ^ 1;
  if (peer >= t.size()) return;
  std::uint64_t wrong = 0;
  for (std::uint32_t i = 0; i < 400; ++i) {
    const std::vector<std::byte> payload = pattern(i * 37 % 9000, i);
    if (t.rank() < peer) t.send(peer, Kind::reduce, payload, patience());
    wrong += same(receive_any(t, peer, Kind::reduce), payload) ? 0 : 1;
    if (t.rank() > peer) t.send(peer, Kind::reduce, payload, patience());
  }
  CHECK(wrong == 0);
}

struct ConformanceCase {
  const char* name;
  void (*run)(Transport&);
};

inline constexpr ConformanceCase kConformance[] = {
    {"frames arrive in order", frames_arrive_in_order},
    {"a frame of 256 MB arrives", a_frame_of_256_mb_arrives},
    {"many small frames arrive", many_small_frames_arrive},
    {"large frames cross", large_frames_cross},
    {"a deadline ends a wait and the link lives on", a_deadline_ends_a_wait_and_the_link_lives_on},
    {"any ready peer is served and none starves", any_ready_peer_is_served_and_none_starves},
    {"a pending frame can be looked at again", a_pending_frame_can_be_looked_at_again},
    {"counters count every byte", counters_count_every_byte},
    {"heartbeats of another thread never tear frames", heartbeats_of_another_thread_never_tear_frames},
};

}  // namespace starling::tests

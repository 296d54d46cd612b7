// The thread that tells the peers that this rank lives.
#include "comm/heartbeat.h"

#include <ctime>

#include "tests/comm/groups.h"

using namespace starling;
using namespace std::chrono_literals;

TEST_CASE("heartbeats reach the peers while their owner does something else, and end with their object") {
  auto group = comm::inproc_group(2);
  {
    const comm::Heartbeat heart(*group[1], 1ms);
    const auto give_up = comm::after(20s);
    while (group[0]->counters(1).frames_received < 5 && comm::Clock::now() < give_up)
      CHECK_THROWS_AS(group[0]->next(1, comm::after(5ms)), core::Error);  // they are no frames for the caller
  }
  CHECK(group[0]->counters(1).frames_received >= 5);
  const auto start = comm::Clock::now();
  { const comm::Heartbeat slow(*group[1], 1h); }
  CHECK(comm::Clock::now() - start < 10s);  // the end does not wait for the next beat
}

TEST_CASE("a rank that waits sends a heartbeat now and then and sleeps in between") {
  comm::Limits limits;
  limits.heartbeat_every = 50ms;
  for (const std::string scheme : {"tcp", "zmq+tcp"}) {
    CAPTURE(scheme);
    tests::SocketGroup group = tests::socket_group(scheme, 2, limits);
    const std::uint64_t before = group.ranks[0]->counters(1).frames_sent;
    const std::clock_t used_before = std::clock();
    CHECK_THROWS_AS(group.ranks[0]->next(1, comm::after(1s)), core::Error);
    const std::uint64_t sent = group.ranks[0]->counters(1).frames_sent - before;
    CHECK(sent >= 2);
    CHECK(sent <= 21);
    // Before it sleeps a wait asks for up to 100 ms; the rest costs next to nothing.
    CHECK(static_cast<double>(std::clock() - used_before) / CLOCKS_PER_SEC < 0.5);
  }
}

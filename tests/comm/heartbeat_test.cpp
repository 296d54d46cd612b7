// The thread that tells the peers that this rank lives.
#include "comm/heartbeat.h"

#include "tests/run_ranks.h"

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

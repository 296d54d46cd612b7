// The in-process transport, as far as the table of transports_test.cpp does not cover it.
#include <numeric>

#include "tests/run_ranks.h"

using namespace starling;
using namespace std::chrono_literals;

TEST_CASE("every rank of a process reaches every other") {
  tests::run_ranks(5, [](comm::Transport& t) {
    for (comm::Rank peer = 0; peer < t.size(); ++peer) {
      if (peer == t.rank()) continue;
      const int value = 10 * t.rank() + peer;
      t.send(peer, comm::Kind::data, std::as_bytes(std::span(&value, 1)), comm::after(5s));
    }
    for (comm::Rank peer = t.size() - 1; peer >= 0; --peer) {
      if (peer == t.rank()) continue;
      int value = 0;
      comm::receive(t, peer, comm::Kind::data, std::as_writable_bytes(std::span(&value, 1)), comm::after(5s));
      CHECK(value == 10 * peer + t.rank());
    }
  });
}

TEST_CASE("a rank that fails takes the others along, by name") {
  auto group = comm::inproc_group(3);
  const auto failures = tests::run_ranks_collect(group, [](comm::Transport& t) {
    if (t.rank() == 2) throw std::runtime_error("rank 2 breaks");
    t.next(1 - t.rank(), comm::after(20s));
  });
  // Whoever of the others heard it first may have passed it on.
  for (std::size_t rank : {0u, 1u})
    CHECK(tests::text_of(failures[rank]).find("rank 2 (in this process): rank 2 breaks") != std::string::npos);
  CHECK(tests::text_of(failures[2]) == "rank 2 breaks");
}

TEST_CASE("a rank that leaves in good order does not disturb the others") {
  auto group = comm::inproc_group(3);
  const auto failures = tests::run_ranks_collect(group, [&](comm::Transport& t) {
    if (t.rank() == 2) {
      t.send(0, comm::Kind::data, {}, comm::after(5s));
      group[2].reset();
      return;
    }
    if (t.rank() == 1) comm::receive(t, 0, comm::Kind::data, {}, comm::after(5s));  // waits while rank 2 leaves
    if (t.rank() == 0) comm::receive(t, 2, comm::Kind::data, {}, comm::after(5s));
    CHECK(t.next(2, comm::after(5s)).kind == comm::Kind::goodbye);
    t.read(2, {}, comm::after(5s));
    CHECK_THROWS_WITH_AS(t.next(2, comm::after(5s)), "rank 2 (in this process): has left the session", core::Error);
    if (t.rank() == 0) t.send(1, comm::Kind::data, {}, comm::after(5s));
  });
  tests::check_no_failures(failures);
}

// What the processes of an MPI job run: started by mpi_test.cpp through mpirun, otherwise skipped.
#include "comm/transports/mpi.h"

#include <cstdlib>
#include <thread>

#include "tests/comm/conformance.h"

using namespace starling;
using namespace std::chrono_literals;
using comm::after;

TEST_CASE("mpi: every transport carries frames as promised" * doctest::skip()) {
  const auto world = comm::mpi_world();
  REQUIRE(world->size() >= 2);
  const comm::Heartbeat heart(*world, 500ms);
  for (const auto& one : tests::kConformance) {
    if (world->size() > 2 && std::string(one.name).find("256 MB") != std::string::npos) continue;
    INFO(one.name);
    one.run(*world);
    tests::settle(*world);
  }
}

TEST_CASE("mpi: a rank gives up" * doctest::skip()) {
  const auto world = comm::mpi_world();
  if (world->rank() == 1) comm::mpi_give_up(7);
  world->next(1, after(60s));
}

TEST_CASE("mpi: a rank is killed" * doctest::skip()) {
  const auto world = comm::mpi_world();
  if (world->rank() == 1) std::abort();
  world->next(1, after(60s));
}

TEST_CASE("mpi: a rank stops" * doctest::skip()) {
  const auto world = comm::mpi_world();
  if (world->rank() == 1) std::this_thread::sleep_for(60s);  // without heartbeats
  try {
    world->next(1, after(60s));
  } catch (const core::Error& error) {
    comm::mpi_give_up(error.kind() == core::Kind::unreachable ? 9 : 1);
  }
}

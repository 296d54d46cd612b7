// Forming a group over real sockets of this machine.
#include "comm/connect.h"

#include <thread>

#include <doctest/doctest.h>

#include "tests/comm/groups.h"
#include "tests/run_ranks.h"

using namespace starling;
using namespace std::chrono_literals;

TEST_CASE("nodes that listen become a fully linked group, and can be used again and again") {
  for (const std::string scheme : {"tcp", "tcp", "zmq+tcp"}) {
    auto group = tests::socket_group(scheme, 4);
    CHECK(group.missing_links == "");
    CHECK(group.nodes.at(3).name == "node-3");
    CHECK(group.ranks[1]->name(0).find("master-node (" + scheme + "://127.0.0.1") == 0);
    CHECK(group.ranks[2]->name(3).find("node-3 (" + scheme + "://127.0.0.1") == 0);
    tests::check_no_failures(tests::run_ranks_collect(group.ranks, tests::all_to_all));
  }
}

// Forming a group over real sockets of this machine, and who is not let in.
#include "comm/connect.h"

#include <atomic>
#include <thread>

#include <doctest/doctest.h>

#include "comm/heartbeat.h"
#include "comm/transports/handshake.h"
#include "tests/comm/groups.h"
#include "tests/comm/raw_peer.h"
#include "tests/run_ranks.h"

using namespace starling;
using namespace std::chrono_literals;
using comm::after;

namespace {

/// What connect() says, as "kind: message", or "" when it succeeds.
std::string connect_error(const std::vector<std::string>& uris, const comm::ConnectOptions& options) {
  try {
    comm::connect(uris, options);
  } catch (const core::Error& error) {
    return std::string(core::to_string(error.kind())) + ": " + error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// An address of this machine where nobody listens.
std::string dead_address(const std::string& scheme) {
  const auto listener = comm::listen("tcp://127.0.0.1:0", tests::node_info("gone"), {});
  return scheme + listener->uri().substr(3);
}

const std::vector<std::string> kSchemes = {"tcp", "zmq+tcp"};

}  // namespace

TEST_CASE("nodes that listen become a fully linked group, and can be used again and again") {
  for (const std::string& scheme : kSchemes) {
    CAPTURE(scheme);
    tests::SocketGroup group = tests::listening(scheme, 4);
    for (int round = 0; round < 3; ++round) {
      tests::join(group, tests::connect_options());
      CHECK(group.missing_links == "");
      CHECK(group.nodes.at(0).name == "master-node");
      CHECK(group.nodes.at(3).name == "node-3");
      CHECK(group.nodes.at(3).memory_bytes == 1 << 20);
      CHECK(contains(group.ranks[1]->name(0), "master-node (" + scheme + "://127.0.0.1"));
      CHECK(contains(group.ranks[2]->name(3), "node-3 (" + scheme + "://127.0.0.1"));
      tests::check_no_failures(tests::run_ranks_collect(group.ranks, tests::all_to_all));
    }
  }
}

TEST_CASE("workers that cannot reach each other are named, and the rest of the group works") {
  for (const std::string& scheme : kSchemes) {
    CAPTURE(scheme);
    tests::SocketGroup group = tests::listening(scheme, 4);
    comm::ConnectOptions options = tests::connect_options();
    const std::string dead = dead_address(scheme);
    options.route = [&](comm::Rank from, comm::Rank to, const std::string&) {
      return from == 3 && to == 1 ? dead : std::string();
    };
    tests::join(group, options);
    CHECK(contains(group.missing_links, "node-3"));
    CHECK(contains(group.missing_links, "cannot reach node-1"));
    CHECK(contains(group.missing_links, dead));
    CHECK_THROWS_AS(group.ranks[3]->send(1, comm::Kind::data, {}, after(1s)), core::Error);
    CHECK_THROWS_AS(group.ranks[1]->next(3, after(1s)), core::Error);
    tests::check_no_failures(tests::run_ranks_collect(group.ranks, [](comm::Transport& t) {
      const comm::Deadline deadline = after(10s);
      if (t.rank() == 2) {
        for (const comm::Rank peer : {0, 1, 3}) t.send(peer, comm::Kind::data, {}, deadline);
      } else {
        comm::receive(t, 2, comm::Kind::data, {}, deadline);
      }
    }));
  }
}

TEST_CASE("a second master hears that the node is busy, and comes in when the job is over") {
  for (const std::string& scheme : kSchemes) {
    CAPTURE(scheme);
    tests::SocketGroup group = tests::listening(scheme, 2);
    tests::join(group, tests::connect_options());
    {
      const comm::Heartbeat node_lives(*group.ranks[1], 50ms);
      const comm::Heartbeat master_lives(*group.ranks[0], 50ms);
      comm::ConnectOptions second = tests::connect_options();
      second.session = 0xbad;
      const std::string error = connect_error(group.uris, second);
      CHECK(contains(error, "refused: " + group.uris[0] + ": refused: busy: node-1 serves another master"));
    }
    tests::check_no_failures(tests::run_ranks_collect(group.ranks, tests::all_to_all));
    std::thread next_job([&] {
      group.ranks.clear();  // ends while the next master already calls
      const auto transport = group.listeners[0]->accept(after(10s));
      comm::receive(*transport, 0, comm::Kind::data, {}, after(10s));
    });
    comm::ConnectOptions third = tests::connect_options();
    third.session = 0x900d;
    const comm::Connected connected = comm::connect(group.uris, third);
    connected.transport->send(1, comm::Kind::data, {}, after(10s));
    next_job.join();
  }
}

TEST_CASE("nodes that are ready early wait for those that are late") {
  for (const std::string& scheme : kSchemes) {
    CAPTURE(scheme);
    comm::Limits limits;
    limits.silence_max = 300ms;
    limits.heartbeat_every = 50ms;
    tests::SocketGroup group = tests::listening(scheme, 3, limits);
    group.ranks.resize(3);
    std::thread early([&] { group.ranks[1] = group.listeners[0]->accept(after(20s)); });
    std::thread late([&] {
      std::this_thread::sleep_for(1s);  // several times the silence limit
      group.ranks[2] = group.listeners[1]->accept(after(20s));
    });
    group.ranks[0] = comm::connect(group.uris, tests::connect_options(limits)).transport;
    early.join();
    late.join();
    tests::check_no_failures(tests::run_ranks_collect(group.ranks, [](comm::Transport& t) {
      const comm::Heartbeat heart(t, 50ms);
      tests::all_to_all(t);
    }));
  }
}

TEST_CASE("addresses that cannot be used are named") {
  comm::ConnectOptions options = tests::connect_options();
  const std::string dead = dead_address("tcp");
  CHECK(contains(connect_error({dead}, options), "unreachable: " + dead + ": Connection refused"));
  CHECK(contains(connect_error({dead_address("zmq+tcp")}, options), "unreachable: zmq+tcp://127.0.0.1"));
  CHECK(contains(connect_error({"carrier://pigeon:1"}, options), "unknown address scheme 'carrier://'; known: tcp://"));
  CHECK(contains(connect_error({"tcp:/x"}, options), "usage: address 'tcp:/x': no scheme"));
  CHECK(contains(connect_error({"tcp://x"}, options), "no port"));
  CHECK(contains(connect_error({"tcp://x:99999"}, options), "the port is no number up to 65535"));
  CHECK(contains(connect_error({"tcp://::1:5"}, options), "an IPv6 host needs brackets"));
  CHECK(contains(connect_error({"tcp://:5"}, options), "no host"));
  for (const std::string& scheme : kSchemes) {
    const auto first = comm::listen(scheme + "://127.0.0.1:0", {}, {});
    try {
      comm::listen(first->uri(), {}, {});
      FAIL_CHECK("listened twice");
    } catch (const core::Error& error) {
      CHECK(error.kind() == core::Kind::refused);
      CHECK(contains(error.what(), first->uri() + ": cannot listen"));
    }
  }
}

TEST_CASE("a node whose owner does not accept makes connect() time out, by name") {
  for (const std::string& scheme : kSchemes) {
    const auto listener = comm::listen(scheme + "://127.0.0.1:0", tests::node_info("idle"), {});
    comm::ConnectOptions options = tests::connect_options();
    options.deadline = after(200ms);
    CHECK(contains(connect_error({listener->uri()}, options), "timeout: " + listener->uri()));
    CHECK_THROWS_AS(listener->accept(after(20ms)), core::Error);
  }
}

TEST_CASE("strangers at the front door are refused by name or closed, and do not disturb the wait for a master") {
  tests::SocketGroup group = tests::listening("tcp", 2);
  const std::string& uri = group.uris[0];
  const auto hello = [](std::uint32_t rank, std::uint32_t your_rank, comm::Role role) {
    return comm::encode_hello({role, rank, your_rank, 3, tests::node_info("stranger")});
  };
  std::thread node([&] {
    const auto transport = group.listeners[0]->accept(after(30s));
    comm::receive(*transport, 0, comm::Kind::data, {}, after(10s));
  });

  tests::RawPeer garbage(uri);
  garbage.send(std::vector<std::byte>(100, std::byte{'x'}));
  CHECK(garbage.refusal() == "(closed)");

  tests::RawPeer next_version(uri);
  auto header = comm::encode(tests::hello_header(1, 0, 0), {});
  header[4] = std::byte{2};
  next_version.send(header);
  CHECK(contains(next_version.refusal(), "frame version is 2, this program speaks version 1"));

  tests::RawPeer oversize(uri);
  header = comm::encode(tests::hello_header(1, 0, 0), std::vector<std::byte>(comm::kHelloBytesMax + 1));
  oversize.send(header);
  CHECK(contains(oversize.refusal(), "frame length 4097 is above the limit of 4096 bytes"));

  tests::RawPeer impatient(uri);
  comm::Header job = tests::hello_header(1, 0, 0);
  job.kind = comm::Kind::job;
  impatient.send(job, {});
  CHECK(contains(impatient.refusal(), "the first frame is of kind job, expected hello"));

  tests::RawPeer replay(uri);
  comm::Header late = tests::hello_header(1, 0, 0);
  late.sequence = 5;
  replay.send(late, hello(0, 1, comm::Role::master));
  CHECK(contains(replay.refusal(), "the first frame has sequence 5"));

  tests::RawPeer false_rank(uri);
  false_rank.send(tests::hello_header(1, 0, 2), hello(0, 1, comm::Role::master));
  CHECK(contains(false_rank.refusal(), "a hello of rank 0 in a frame from rank 2"));

  tests::RawPeer false_master(uri);
  false_master.send(tests::hello_header(1, 0, 2), hello(2, 1, comm::Role::master));
  CHECK(false_master.refusal() == "a master has rank 0, not 2");

  tests::RawPeer stray(uri);
  stray.send(tests::hello_header(77, 4, 2), hello(2, 1, comm::Role::peer));
  CHECK(stray.refusal() == "session 0x4d epoch 4 does not run here");

  tests::RawPeer node_role(uri);
  node_role.send(tests::hello_header(1, 0, 2), hello(2, 1, comm::Role::node));
  CHECK(node_role.refusal() == "a node does not call other nodes");

  {  // a master that goes away before the group stands
    tests::RawPeer vanishing(uri);
    vanishing.send(tests::hello_header(1, 0, 0), hello(0, 1, comm::Role::master));
    bool closed = false;
    CHECK(vanishing.read_to_end(500, closed).size() > comm::kHeaderBytes);  // it is answered first
  }

  comm::ConnectOptions options = tests::connect_options();
  const comm::Connected connected = comm::connect(group.uris, options);
  connected.transport->send(1, comm::Kind::data, {}, after(10s));
  node.join();
}

TEST_CASE("half-open handshakes end after two seconds and disturb nobody") {
  tests::SocketGroup group = tests::listening("tcp", 2);
  std::vector<std::unique_ptr<tests::RawPeer>> half_open;
  const auto start = comm::Clock::now();
  for (int i = 0; i < 100; ++i) {
    half_open.push_back(std::make_unique<tests::RawPeer>(group.uris[0]));
    if (i % 2 == 0) half_open.back()->send(std::vector<std::byte>(10, std::byte{'S'}));
  }
  tests::join(group, tests::connect_options());
  CHECK(comm::Clock::now() - start < 2s);
  for (auto& one : half_open) {
    bool closed = false;
    one->read_to_end(4000, closed);
    CHECK(closed);
  }
  CHECK(comm::Clock::now() - start < 4s);
  tests::check_no_failures(tests::run_ranks_collect(group.ranks, tests::all_to_all));
}

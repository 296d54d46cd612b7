// One suite over all transports: what must work, and what a broken or hostile peer must lead to.
#include <atomic>
#include <cstdio>

#include "comm/faults.h"
#include "comm/transports/piped.h"
#include "tests/comm/conformance.h"
#include "tests/comm/groups.h"

using namespace starling;
using namespace std::chrono_literals;
using tests::patience;

namespace {

const std::vector<std::string> kTransports = {"inproc", "tcp", "zmq+tcp"};

std::vector<std::unique_ptr<comm::Transport>> make_group(const std::string& name, comm::Rank size,
                                                         const comm::Limits& limits = {}) {
  if (name == "inproc") return comm::inproc_group(size, limits);
  return std::move(tests::socket_group(name, size, limits).ranks);
}

/// Limits under which a dead or silent peer is found soon.
comm::Limits quick() {
  comm::Limits limits;
  limits.silence_max = 300ms;
  limits.heartbeat_every = 50ms;
  limits.frame_bytes_max = 1 << 20;
  return limits;
}

std::size_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  unsigned long total = 0, resident = 0;
  const int fields = file ? std::fscanf(file, "%lu %lu", &total, &resident) : 0;
  if (file) std::fclose(file);
  return fields == 2 ? resident * 4096 : 0;
}

struct Expectation {
  const char* name;
  comm::Fault fault;
  core::Kind kind;
  const char* text;  // part of the message
};

const Expectation kExpectations[] = {
    {"a dead peer", comm::Fault::dead, core::Kind::unreachable, "closed the connection"},
    {"a stopped peer", comm::Fault::silent, core::Kind::unreachable, "silent for 0."},
    {"a peer that dies in a frame", comm::Fault::cut_short, core::Kind::unreachable, "in the middle of a frame"},
    {"garbage", comm::Fault::garbage, core::Kind::malformed, "magic"},
    {"a flipped bit in the header", comm::Fault::flip_header, core::Kind::malformed, "frame"},
    {"a flipped bit in the payload", comm::Fault::flip_payload, core::Kind::malformed, "payload checksum"},
    {"a replayed frame", comm::Fault::duplicate, core::Kind::malformed, "sequence of a data frame is 3, expected 4"},
    {"a lost frame", comm::Fault::drop, core::Kind::malformed, "sequence of a data frame is 4, expected 3"},
    {"a peer of the next version", comm::Fault::wrong_version, core::Kind::malformed,
     "frame version is 2, this program speaks version 1"},
    {"another session", comm::Fault::wrong_session, core::Kind::malformed, "session of a data frame"},
    {"an old epoch", comm::Fault::old_epoch, core::Kind::malformed, "epoch of a data frame"},
    {"another sender", comm::Fault::wrong_sender, core::Kind::malformed, "sender's rank of a data frame is 2, expected 1"},
    {"an oversize frame", comm::Fault::oversize, core::Kind::malformed,
     "frame length 18446744073709551615 is above the limit of 1048576 bytes"},
};

/// Rank 1 sends frames with a fault in one; rank 0 must get those before it whole and then the right error,
/// again and again.
void check_fault(const std::string& transport, const Expectation& expected, std::uint64_t seed) {
  CAPTURE(transport);
  CAPTURE(expected.name);
  CAPTURE(seed);
  auto group = make_group(transport, 2, quick());
  auto& bad = dynamic_cast<comm::PipedTransport&>(*group[1]);
  // Sequences go on from those of the handshake (a hello, and linked); the messages below expect 3 and 4.
  const std::uint64_t at = transport == "inproc" ? 3 : 1;
  bad.decorate(0, [&](auto pipe) { return comm::faulty(std::move(pipe), {expected.fault, at, seed, {}}); });
  std::atomic<bool> over{false};
  const auto failures = tests::run_ranks_collect(group, [&](comm::Transport& t) {
    const std::vector<std::byte> payload = tests::pattern(5000, 9);
    if (t.rank() == 1) {
      try {
        for (int i = 0; i < 5; ++i) t.send(0, comm::Kind::data, payload, patience());
      } catch (const core::Error&) {
        CHECK((expected.fault == comm::Fault::dead || expected.fault == comm::Fault::cut_short));
      }
      while (!over.load()) std::this_thread::sleep_for(1ms);  // a process with a fault does not say goodbye
      return;
    }
    for (std::uint64_t i = 0; i < at; ++i) CHECK(tests::same(tests::receive_any(t, 1, comm::Kind::data), payload));
    for (int again = 0; again < 3; ++again) {
      std::string message;
      try {
        for (int i = 0; i < 5; ++i) tests::receive_any(t, 1, comm::Kind::data);
      } catch (const core::Error& error) {
        message = error.what();
        CHECK(error.kind() == expected.kind);
      }
      INFO(message);
      CHECK(message.find(t.name(1)) == 0);
      CHECK(message.find(expected.text) != std::string::npos);
    }
    over.store(true);
  });
  tests::check_no_failures(failures);
}

}  // namespace

TEST_CASE("every transport carries frames as promised") {
  for (const std::string& name : kTransports) {
    for (const comm::Rank size : {2, 4}) {
      for (const auto& one : tests::kConformance) {
        if (size == 4 && std::string(one.name).find("256 MB") != std::string::npos) continue;
        CAPTURE(name);
        CAPTURE(size);
        INFO(one.name);
        auto group = make_group(name, size);
        const auto failures = tests::run_ranks_collect(group, [&](comm::Transport& t) {
          const comm::Heartbeat heart(t, 500ms);
          one.run(t);
          tests::settle(t);
        });
        tests::check_no_failures(failures);
      }
    }
  }
}

TEST_CASE("every fault of a peer ends in an error that names the peer and the cause") {
  for (const std::string& name : kTransports)
    for (const Expectation& expected : kExpectations)
      for (std::uint64_t seed = 1; seed <= (expected.fault == comm::Fault::flip_header ? 40u : 2u); ++seed)
        check_fault(name, expected, seed);
}

TEST_CASE("a late frame is no fault while heartbeats come") {
  for (const std::string& name : kTransports) {
    CAPTURE(name);
    auto group = make_group(name, 2, quick());
    const auto failures = tests::run_ranks_collect(group, [&](comm::Transport& t) {
      const comm::Heartbeat heart(t, 50ms);
      if (t.rank() == 1) {
        std::this_thread::sleep_for(900ms);  // three times the silence limit
        t.send(0, comm::Kind::data, {}, patience());
      } else {
        comm::receive(t, 1, comm::Kind::data, {}, patience());
      }
      tests::settle(t);
    });
    tests::check_no_failures(failures);
  }
}

TEST_CASE("who waits for one peer learns of the end of another") {
  for (const std::string& name : kTransports) {
    for (const comm::Fault fault : {comm::Fault::dead, comm::Fault::silent, comm::Fault::garbage}) {
      CAPTURE(name);
      auto group = make_group(name, 3, quick());
      for (const comm::Rank peer : {0, 1})
        dynamic_cast<comm::PipedTransport&>(*group[2]).decorate(
            peer, [&](auto pipe) { return comm::faulty(std::move(pipe), {fault, 0, 1, {}}); });
      std::atomic<int> ended{0};
      const auto failures = tests::run_ranks_collect(group, [&](comm::Transport& t) {
        if (t.rank() == 2) {
          for (const comm::Rank peer : {0, 1}) {
            try {
              t.send(peer, comm::Kind::data, {}, patience());
            } catch (const core::Error&) {
              CHECK(fault == comm::Fault::dead);
            }
          }
          while (ended.load() < 2) std::this_thread::sleep_for(1ms);
          return;
        }
        const auto start = comm::Clock::now();
        std::string message;
        try {
          t.next(1 - t.rank(), patience());
        } catch (const core::Error& error) {
          message = error.what();
        }
        CHECK(message.find(t.name(2)) == 0);
        CHECK(comm::Clock::now() - start < 2s);
        ++ended;
        while (ended.load() < 2) std::this_thread::sleep_for(1ms);
      });
      tests::check_no_failures(failures);
    }
  }
}

TEST_CASE("a reader that is slow stops the sender before memory fills") {
  for (const std::string& name : kTransports) {
    CAPTURE(name);
    auto group = make_group(name, 2);
    constexpr std::uint64_t kFrames = 256, kBytes = 1 << 20;
    std::atomic<std::uint64_t> sent{0};
    const std::size_t before = resident_bytes();
    const auto failures = tests::run_ranks_collect(group, [&](comm::Transport& t) {
      const comm::Heartbeat heart(t, 100ms);
      const std::vector<std::byte> payload = tests::pattern(kBytes, 3);
      if (t.rank() == 0) {
        for (std::uint64_t i = 0; i < kFrames; ++i, ++sent) t.send(1, comm::Kind::data, payload, patience());
      } else {
        std::uint64_t seen = 0;
        do {  // until the sender stands still
          seen = sent.load();
          std::this_thread::sleep_for(200ms);
        } while (sent.load() != seen);
        CHECK(seen < 64);
        CHECK(resident_bytes() < before + (100u << 20));
        for (std::uint64_t i = 0; i < kFrames; ++i) CHECK(tests::same(tests::receive_any(t, 0, comm::Kind::data), payload));
      }
      tests::settle(t);
    });
    tests::check_no_failures(failures);
  }
}

TEST_CASE("two ranks that send more to each other than anyone may queue are told so") {
  for (const std::string& name : kTransports) {
    CAPTURE(name);
    comm::Limits limits = quick();
    limits.queue_bytes_max = 1 << 20;
    limits.frame_bytes_max = 64 << 20;
    auto group = make_group(name, 2, limits);
    std::atomic<int> overloaded{0};
    tests::run_ranks_collect(group, [&](comm::Transport& t) {
      try {
        t.send(1 - t.rank(), comm::Kind::data, tests::pattern(48 << 20, 1), patience());
      } catch (const core::Error& error) {
        overloaded += error.kind() == core::Kind::overloaded ? 1 : 0;
        throw;
      }
    });
    CHECK(overloaded.load() >= 1);
  }
}

TEST_CASE("a frame above the limit is not sent at all") {
  for (const std::string& name : kTransports) {
    CAPTURE(name);
    auto group = make_group(name, 2, quick());
    const auto failures = tests::run_ranks_collect(group, [&](comm::Transport& t) {
      if (t.rank() == 0) {
        try {
          t.send(1, comm::Kind::data, tests::pattern((1 << 20) + 1, 1), patience());
          FAIL_CHECK("sent");
        } catch (const core::Error& error) {
          CHECK(error.kind() == core::Kind::overloaded);
          CHECK(std::string(error.what()).find("a frame of 1048577 bytes is above the limit of 1048576") !=
                std::string::npos);
        }
      }
      tests::settle(t);
    });
    tests::check_no_failures(failures);
  }
}

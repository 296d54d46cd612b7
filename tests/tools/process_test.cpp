// Children that announce themselves, fail to, die, and end with us.
#include "tools/process.h"

#include <csignal>

#include <doctest/doctest.h>
#include <poll.h>

#include "tests/tools/program.h"

using namespace starling;
using namespace std::chrono_literals;
using tests::refusal;
using tools::Children;

namespace {

/// In the script, $2 is the lifeline and $4 the pipe to announce to.
std::vector<std::string> bash(const std::string& script) { return {"/bin/bash", "-c", script, "child"}; }

tools::Deadline in(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

bool ended(int pidfd, std::chrono::milliseconds patience) {
  pollfd poll{pidfd, POLLIN, 0};
  return ::poll(&poll, 1, static_cast<int>(patience.count())) == 1;
}

}  // namespace

TEST_CASE("a child's first line is what it announced, and later ones do not disturb") {
  Children children;
  const auto child = children.spawn(bash("echo tcp://127.0.0.1:7 >&$4; read -u $2"), "node-1");
  CHECK(children.announcement(child, in(5s)) == "tcp://127.0.0.1:7");
  CHECK(children.deaths().empty());
}

TEST_CASE("a child that ends before it is ready is named with its status") {
  Children children;
  const auto child = children.spawn(bash("exit 3"), "node-2");
  CHECK(refusal(core::Kind::unreachable, [&] { children.announcement(child, in(5s)); }) ==
        "node-2 ended with status 3 before it was ready");
}

TEST_CASE("a child that never gets ready is a timeout that names it") {
  Children children;
  const auto child = children.spawn(bash("read -u $2"), "node-1");
  CHECK(refusal(core::Kind::timeout, [&] { children.announcement(child, in(100ms)); }) ==
        "node-1: did not say that it is ready");
}

TEST_CASE("a program that is not there is a clear error") {
  Children children;
  CHECK(refusal(core::Kind::missing, [&] { children.spawn({"/no/such/program"}, "node-1"); }) ==
        "node-1: cannot run /no/such/program: No such file or directory");
  CHECK(children.size() == 0);
}

TEST_CASE("a killed child is reported once, with the signal") {
  Children children;
  const auto child = children.spawn(bash("echo up >&$4; read -u $2"), "node-1");
  children.announcement(child, in(5s));
  const tools::Descriptor process = tools::open_process(children.pid(child));
  ::kill(children.pid(child), SIGKILL);
  REQUIRE(ended(process.get(), 5s));
  CHECK(children.deaths() == std::vector<std::string>{"node-1 was killed by signal 9"});
  CHECK(children.deaths().empty());
}

TEST_CASE("terminate ends also a child that ignores the polite signal, and leaves no zombie") {
  Children children;
  const auto child = children.spawn(bash("trap '' TERM; echo up >&$4; while :; do read -t 1 -u $2; done"), "node-1");
  children.announcement(child, in(5s));
  const pid_t pid = children.pid(child);
  children.terminate(50ms);
  CHECK(::kill(pid, 0) == -1);
  CHECK(errno == ESRCH);
}

TEST_CASE("standard input of a child is empty and its output does not reach ours") {
  Children children;
  const auto child = children.spawn(bash("echo noise >/dev/stdout; read line || echo end >&$4"), "node-1");
  CHECK(children.announcement(child, in(5s)) == "end");
}

TEST_CASE("nodes are started together, named, told their threads, and announce their addresses") {
  // The stand-in announces its own arguments.
  const std::string script = std::string(STARLING_SOURCE_DIR) + "/tests/tools/stand_in_node";
  tools::LocalNodes nodes = tools::start_local_nodes({3, "zmq+tcp", 2, {"--insecure"}, script, 10s});
  REQUIRE(nodes.uris.size() == 3);
  CHECK(nodes.names == std::vector<std::string>{"node-1", "node-2", "node-3"});
  CHECK(nodes.uris[2] == "node --listen zmq+tcp://127.0.0.1:0 --name node-3 --threads 2 --insecure");
}

// Whatever ends a parent, its children are gone within two seconds.
#include <array>
#include <chrono>
#include <csignal>
#include <vector>

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tools/process.h"

using namespace starling;
using namespace std::chrono_literals;
using tools::Descriptor;

namespace {

constexpr int kChildren = 3;

std::vector<std::string> bash(const std::string& script) { return {"/bin/bash", "-c", script, "child"}; }

/// A parent process with kChildren children that run `script`, seen from outside.
struct Family {
  explicit Family(const std::string& script) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const Descriptor read(ends[0]);
    Descriptor write(ends[1]);
    parent = ::fork();
    REQUIRE(parent >= 0);
    if (parent == 0) live(script, ends[1]);
    write.reset();
    std::array<pid_t, kChildren> pids{};
    REQUIRE(::read(read.get(), pids.data(), sizeof pids) == sizeof pids);
    for (const pid_t pid : pids) {
      children.push_back(tools::open_process(pid));
    }
  }

  [[noreturn]] static void live(const std::string& script, int report) {
    tools::Children started;
    std::array<pid_t, kChildren> pids{};
    for (int i = 0; i < kChildren; ++i) {
      const auto child = started.spawn(bash(script), "child");
      started.announcement(child, std::chrono::steady_clock::now() + 10s);
      pids[static_cast<std::size_t>(i)] = started.pid(child);
    }
    if (::write(report, pids.data(), sizeof pids) != sizeof pids) ::_exit(1);
    for (;;) ::pause();
  }

  /// True when every child ended within two seconds from now.
  bool gone() const {
    const auto deadline = std::chrono::steady_clock::now() + 2s;
    bool all = true;
    for (const Descriptor& child : children) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      pollfd poll{child.get(), POLLIN, 0};
      if (::poll(&poll, 1, std::max(0, static_cast<int>(left.count()))) == 1) continue;
      all = false;
      ::syscall(SYS_pidfd_send_signal, child.get(), SIGKILL, nullptr, 0);
    }
    return all;
  }

  ~Family() {
    ::kill(parent, SIGKILL);
    ::waitpid(parent, nullptr, 0);
  }

  pid_t parent = -1;
  std::vector<Descriptor> children;
};

}  // namespace

TEST_CASE("children are gone when their parent is killed, whatever the signal") {
  for (const int signal : {SIGKILL, SIGTERM, SIGINT, SIGSEGV, SIGHUP}) {
    CAPTURE(signal);
    Family family("echo up >&$4; exec sleep 1000");
    ::kill(family.parent, signal);
    CHECK(family.gone());
  }
}

TEST_CASE("a stopped child is gone too") {
  Family family("echo up >&$4; exec sleep 1000");
  for (const Descriptor& child : family.children) ::syscall(SYS_pidfd_send_signal, child.get(), SIGSTOP, nullptr, 0);
  ::kill(family.parent, SIGKILL);
  CHECK(family.gone());
}

TEST_CASE("the end of the lifeline alone ends a process") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::close(ends[1]);
    const tools::Lifeline lifeline(ends[0]);
    for (;;) ::pause();
  }
  ::close(ends[0]);
  const Descriptor process = tools::open_process(child);
  pollfd poll{process.get(), POLLIN, 0};
  CHECK(::poll(&poll, 1, 50) == 0);
  ::close(ends[1]);
  CHECK(::poll(&poll, 1, 2000) == 1);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST_CASE("a lifeline that is no longer needed lets its process go on") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  { const tools::Lifeline lifeline(ends[0]); }
  ::close(ends[1]);
  CHECK(true);  // still here
}

// Whatever ends a parent, its children are gone within two seconds.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tools/process.h"
#include "tools/run.h"

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
    for (const int signal : {SIGTERM, SIGINT, SIGSEGV, SIGHUP}) ::signal(signal, SIG_DFL);  // not the test runner's
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

  ~Family() {
    ::kill(parent, SIGKILL);
    ::waitpid(parent, nullptr, 0);
  }

  pid_t parent = -1;
  std::vector<Descriptor> children;
};

/// A `starling generate` that goes on for long, with all the processes it started.
struct Job {
  explicit Job(std::vector<std::string> arguments) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    output = Descriptor(ends[0]);
    Descriptor write(ends[1]);
    std::vector<char*> raw;
    for (std::string& argument : arguments) raw.push_back(argument.data());
    raw.push_back(nullptr);
    pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
      ::setpgid(0, 0);  // Ctrl-C is for this job alone
      ::dup2(ends[1], 1);
      ::execv(raw[0], raw.data());
      ::_exit(127);
    }
    write.reset();
    char first = 0;
    REQUIRE(::read(output.get(), &first, 1) == 1);  // it generates
    std::ifstream list("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
    for (pid_t child = 0; list >> child;) started.push_back(tools::open_process(child));
  }
  ~Job() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }

  pid_t pid = -1;
  Descriptor output;  // open as long as the job: it shall not end because nobody reads
  std::vector<Descriptor> started;
};

/// True when all have ended within two seconds; what has not is killed.
bool gone(const std::vector<Descriptor>& processes) {
  const auto deadline = std::chrono::steady_clock::now() + 2s;
  bool all = true;
  for (const Descriptor& process : processes) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd poll{process.get(), POLLIN, 0};
    if (::poll(&poll, 1, std::max(0, static_cast<int>(left.count()))) == 1) continue;
    all = false;
    ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
  }
  return all;
}

}  // namespace

TEST_CASE("nodes and relay of a cluster on this machine are gone when the command is ended, whatever the signal") {
  const std::string program = std::string(STARLING_BINARY_DIR) + "/starling";
  const std::string model = (std::filesystem::temp_directory_path() / "starling_lifetime_test.gguf").string();
  REQUIRE(tools::run_command({program, "bench", "make-model", "syn-1M", model}, std::chrono::steady_clock::now() + 60s).status == 0);
  for (const int signal : {SIGKILL, SIGINT, SIGTERM})
    for (const std::string transport : {"tcp", "zmq"}) {
      CAPTURE(signal);
      CAPTURE(transport);
      const Job job({program, "generate", model, "--prompt", "a", "--tokens", "100000", "--ctx", "100010", "--nodes", "local:3",
                     "--transport", transport, "--link", "delay=200us"});
      CHECK(job.started.size() == 3);  // two nodes and the relay
      // As Ctrl-C does it: the whole group hears it.
      ::kill(signal == SIGINT ? -job.pid : job.pid, signal);
      CHECK(gone(job.started));
    }
  std::filesystem::remove(model);
}

TEST_CASE("children are gone when their parent is killed, whatever the signal") {
  for (const int signal : {SIGKILL, SIGTERM, SIGINT, SIGSEGV, SIGHUP}) {
    CAPTURE(signal);
    Family family("echo up >&$4; exec sleep 1000");
    ::kill(family.parent, signal);
    CHECK(gone(family.children));
  }
}

TEST_CASE("a stopped child is gone too") {
  Family family("echo up >&$4; exec sleep 1000");
  for (const Descriptor& child : family.children) ::syscall(SYS_pidfd_send_signal, child.get(), SIGSTOP, nullptr, 0);
  ::kill(family.parent, SIGKILL);
  CHECK(gone(family.children));
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

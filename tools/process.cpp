// Fork, exec, and the two ways in which a child learns that its parent is gone.
#include "tools/process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "core/error.h"

namespace starling::tools {
namespace {

using core::Kind;
using Clock = std::chrono::steady_clock;

std::pair<Descriptor, Descriptor> make_pipe() {
  int ends[2];
  core::check(::pipe2(ends, O_CLOEXEC) == 0, Kind::overloaded, "pipe: {}", std::strerror(errno));
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

int milliseconds_left(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

bool wait_readable(int fd, Clock::time_point deadline) {
  pollfd poll{fd, POLLIN, 0};
  for (;;) {
    const int ready = ::poll(&poll, 1, milliseconds_left(deadline));
    if (ready > 0) return true;
    if (ready == 0 && Clock::now() >= deadline) return false;
    core::check(ready == 0 || errno == EINTR, Kind::internal, "poll: {}", std::strerror(errno));
  }
}

void keep_across_exec(int fd) { ::fcntl(fd, F_SETFD, 0); }

/// Between fork and exec, where only async-signal-safe calls are allowed.
[[noreturn]] void become(char* const* arguments, pid_t parent, int lifeline, int announcing, int failure) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it ended before the request above
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int empty = ::open("/dev/null", O_RDONLY);
  if (empty >= 0) ::dup2(empty, 0);
  ::dup2(2, 1);
  keep_across_exec(lifeline);
  keep_across_exec(announcing);
  ::execv(arguments[0], arguments);
  const int error = errno;
  const ssize_t written = ::write(failure, &error, sizeof error);
  ::_exit(written == sizeof error ? 127 : 126);
}

}  // namespace

Descriptor open_process(pid_t pid) {
  // The C library's pidfd_open() of Debian 12 lacks its C++ linkage.
  Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  core::check(process.valid(), Kind::unsupported, "watching process {}: {}", pid, std::strerror(errno));
  return process;
}

Children::Children() {
  auto [read, write] = make_pipe();
  lifeline_read_ = std::move(read);
  lifeline_write_ = std::move(write);
}

Children& Children::operator=(Children&& other) noexcept {
  if (this != &other) {
    terminate();
    children_ = std::move(other.children_);
    lifeline_read_ = std::move(other.lifeline_read_);
    lifeline_write_ = std::move(other.lifeline_write_);
  }
  return *this;
}

Children::~Children() { terminate(); }

std::size_t Children::spawn(std::vector<std::string> arguments, std::string name) {
  auto [announce_read, announce_write] = make_pipe();
  auto [failure_read, failure_write] = make_pipe();
  for (const auto& [option, fd] : {std::pair{"--lifeline", lifeline_read_.get()}, std::pair{"--announce", announce_write.get()}}) {
    arguments.emplace_back(option);
    arguments.push_back(std::to_string(fd));
  }
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  children_.reserve(children_.size() + 1);  // nothing may throw once the child runs
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  core::check(pid >= 0, Kind::overloaded, "{}: cannot start a process: {}", name, std::strerror(errno));
  if (pid == 0) become(pointers.data(), parent, lifeline_read_.get(), announce_write.get(), failure_write.get());
  children_.push_back({std::move(name), pid, open_process(pid), std::move(announce_read)});
  failure_write.reset();
  int error = 0;
  if (::read(failure_read.get(), &error, sizeof error) == sizeof error) {
    const std::string child = children_.back().name;
    ::waitpid(pid, nullptr, 0);
    children_.pop_back();
    core::fail(Kind::missing, "{}: cannot run {}: {}", child, arguments[0], std::strerror(error));
  }
  return children_.size() - 1;
}

std::string Children::announcement(std::size_t index, Deadline deadline) {
  constexpr std::size_t kLineMax = 64 << 10;
  Child& child = children_.at(index);
  std::string line;
  for (char c = 0; line.size() < kLineMax; line += c) {
    core::check(wait_readable(child.announce.get(), deadline), Kind::timeout, "{}: did not say that it is ready",
                child.name);
    const ssize_t n = ::read(child.announce.get(), &c, 1);
    if (n == 1 && c == '\n') return line;
    if (n == 1 || (n < 0 && errno == EINTR)) continue;
    // The pipe is closed a moment before the process can be collected.
    if (child.pid > 0) wait_readable(child.process.get(), std::min(deadline, Clock::now() + std::chrono::seconds(1)));
    const auto end = collect(child);
    core::fail(Kind::unreachable, "{}", end ? *end + " before it was ready" : child.name + " closed its pipe before it was ready");
  }
  core::fail(Kind::malformed, "{}: announced a line of more than {} bytes", child.name, kLineMax);
}

std::optional<std::string> Children::collect(Child& child) {
  int status = 0;
  if (child.pid < 0 || ::waitpid(child.pid, &status, WNOHANG) != child.pid) return std::nullopt;
  child.pid = -1;
  if (WIFSIGNALED(status)) return fmt::format("{} was killed by signal {}", child.name, WTERMSIG(status));
  return fmt::format("{} ended with status {}", child.name, WEXITSTATUS(status));
}

std::vector<std::string> Children::deaths() {
  std::vector<std::string> sentences;
  for (Child& child : children_)
    if (auto end = collect(child)) sentences.push_back(std::move(*end));
  return sentences;
}

void Children::terminate(std::chrono::milliseconds grace) noexcept {
  for (Child& child : children_)
    if (child.pid > 0) ::kill(child.pid, SIGTERM);
  const auto deadline = Clock::now() + grace;
  for (Child& child : children_) {
    if (child.pid <= 0) continue;
    pollfd poll{child.process.get(), POLLIN, 0};
    while (::poll(&poll, 1, milliseconds_left(deadline)) < 0 && errno == EINTR) {
    }
    if ((poll.revents & POLLIN) == 0) ::kill(child.pid, SIGKILL);
    while (::waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    child.pid = -1;
  }
}

Lifeline::Lifeline(int fd) {
  if (fd < 0) return;
  core::check(::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0, Kind::usage, "--lifeline {}: no open file", fd);
  fd_ = Descriptor(fd);
  stop_ = Descriptor(::eventfd(0, EFD_CLOEXEC));
  core::check(stop_.valid(), Kind::overloaded, "eventfd: {}", std::strerror(errno));
  watcher_ = std::thread([this] {
    for (;;) {
      pollfd polls[2] = {{fd_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
      if (::poll(polls, 2, -1) < 0) continue;
      if (polls[1].revents != 0) return;
      char byte;
      if (polls[0].revents != 0 && ::read(fd_.get(), &byte, 1) <= 0) ::_exit(1);
    }
  });
}

Lifeline::~Lifeline() {
  if (!watcher_.joinable()) return;
  ::eventfd_write(stop_.get(), 1);
  watcher_.join();
}

void announce(int fd, const std::string& line) {
  if (fd < 0) return;
  const Descriptor pipe(fd);
  const std::string text = line + "\n";
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    core::check(n > 0, Kind::unreachable, "--announce {}: {}", fd, std::strerror(errno));
    done += static_cast<std::size_t>(n);
  }
}

void end_with_parent() {
  const pid_t parent = ::getppid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
}

LocalNodes start_local_nodes(const LocalNodesOptions& options) {
  LocalNodes nodes;
  for (int i = 1; i <= options.count; ++i) {
    nodes.names.push_back(fmt::format("node-{}", i));
    std::vector<std::string> arguments{options.program, "node", "--listen", options.scheme + "://127.0.0.1:0",
                                       "--name", nodes.names.back(), "--threads", std::to_string(options.threads)};
    arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
    nodes.children.spawn(std::move(arguments), nodes.names.back());
  }
  const auto deadline = Clock::now() + options.patience;
  for (std::size_t i = 0; i < nodes.names.size(); ++i)
    nodes.uris.push_back(nodes.children.announcement(i, deadline));
  return nodes;
}

}  // namespace starling::tools

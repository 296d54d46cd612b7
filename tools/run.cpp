#include "tools/run.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

#include "core/error.h"

extern char** environ;

namespace starling::tools {
namespace {

using core::Kind;

class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

/// Everything up to the end of the pipe; false when the deadline came first.
bool collect(int pipe, std::string& output, Deadline deadline) {
  constexpr std::size_t kOutputMax = 64 << 10;
  std::array<char, 4096> buffer;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd poll{pipe, POLLIN, 0};
    if (::poll(&poll, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000))) <= 0) continue;
    const ssize_t n = ::read(pipe, buffer.data(), buffer.size());
    if (n == 0) return true;
    if (n > 0) output.append(buffer.data(), std::min(static_cast<std::size_t>(n), kOutputMax - output.size()));
  }
}

}  // namespace

Finished run_command(const std::vector<std::string>& arguments, Deadline deadline) {
  int ends[2];
  core::check(::pipe2(ends, O_CLOEXEC) == 0, Kind::overloaded, "pipe: {}", std::strerror(errno));
  const Descriptor read(ends[0]);
  Descriptor write(ends[1]);
  FileActions actions;
  ::posix_spawn_file_actions_addopen(actions.get(), 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(actions.get(), ends[1], 1);
  ::posix_spawn_file_actions_adddup2(actions.get(), ends[1], 2);
  std::vector<char*> raw;
  for (const std::string& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
  raw.push_back(nullptr);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, raw[0], actions.get(), nullptr, raw.data(), environ);
  core::check(error == 0, Kind::missing, "cannot run {}: {}", arguments[0], std::strerror(error));
  write.reset();
  Finished finished;
  const bool in_time = collect(read.get(), finished.output, deadline);
  if (!in_time) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  core::check(in_time, Kind::timeout, "{} did not end in time", arguments[0]);
  finished.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return finished;
}

}  // namespace starling::tools

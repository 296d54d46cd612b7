#include "tools/capture.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/error.h"
#include "tools/descriptor.h"

namespace starling::tools {

std::string run_and_capture(const std::vector<std::string>& arguments) {
  int ends[2];
  core::check(::pipe2(ends, O_CLOEXEC) == 0, core::Kind::overloaded, "pipe: {}", std::strerror(errno));
  const Descriptor read_end(ends[0]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::vector<char*> raw;
  for (const std::string& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
  raw.push_back(nullptr);
  pid_t child = -1;
  const int error = ::posix_spawnp(&child, raw[0], &actions, nullptr, raw.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  core::check(error == 0, core::Kind::missing, "{}: cannot start: {}", arguments.front(), std::strerror(error));
  std::string output;
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t n = ::read(read_end.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    output.append(buffer.data(), static_cast<std::size_t>(n));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  core::check(!output.empty() || status == 0, core::Kind::refused, "{}: failed with status {}", arguments.front(),
              WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return output;
}

}  // namespace starling::tools

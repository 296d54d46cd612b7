// Child processes that never outlive their parent: killed by the kernel when it ends (PR_SET_PDEATHSIG), and by
// the end of a pipe that only the parent holds, should the kernel's signal be lost (a new parent, a changed
// user). They stay in the parent's process group, so that Ctrl-C reaches all.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

#include "tools/descriptor.h"
#include "tools/sockets.h"

namespace starling::tools {

/// The path of this program.
inline constexpr const char* kOwnProgram = "/proc/self/exe";

/// Readable when the process has ended.
Descriptor open_process(pid_t pid);

class Children {
 public:
  Children();
  Children(Children&&) noexcept = default;
  Children& operator=(Children&&) noexcept;
  /// terminate().
  ~Children();

  /// Starts `arguments` (the first is the program's path) with "--lifeline FD --announce FD" appended: the
  /// child ends when the first reads end of file (class Lifeline) and writes one line to the second. Its
  /// standard input is empty, its standard output goes to our standard error. The kernel's signal comes when
  /// the calling *thread* ends: call from one that lives as long as the children shall. Returns its index.
  /// Kind::missing when the program cannot be started.
  std::size_t spawn(std::vector<std::string> arguments, std::string name);

  /// The line that a child announced, without its end. Kind::timeout, or Kind::unreachable when the child
  /// ended or closed the pipe before.
  std::string announcement(std::size_t child, Deadline deadline);

  /// Children that ended since the last call, "node-2 was killed by signal 9". Never waits.
  std::vector<std::string> deaths();

  /// SIGTERM, SIGKILL to those that are still there after `grace`, and collects them all.
  void terminate(std::chrono::milliseconds grace = std::chrono::milliseconds(1000)) noexcept;

  std::size_t size() const { return children_.size(); }
  /// -1 once the child has been collected.
  pid_t pid(std::size_t child) const { return children_.at(child).pid; }

 private:
  struct Child {
    std::string name;
    pid_t pid = -1;
    Descriptor process;   // open_process()
    Descriptor announce;  // our end of the pipe
  };
  /// Collects `child` if it has ended; what it ended with.
  std::optional<std::string> collect(Child& child);

  std::vector<Child> children_;
  Descriptor lifeline_read_, lifeline_write_;
};

/// In a child: ends the process, at once and without cleaning up, when `fd` (--lifeline) reads end of file.
class Lifeline {
 public:
  /// fd < 0: does nothing. Kind::usage when `fd` is not open.
  explicit Lifeline(int fd);
  ~Lifeline();

 private:
  Descriptor fd_, stop_;
  std::thread watcher_;
};

/// In a child: writes `line` to `fd` (--announce) and closes it; fd < 0: does nothing.
void announce(int fd, const std::string& line);

/// This process is killed when its present parent ends: for ranks that mpirun starts.
void end_with_parent();

struct LocalNodes {
  Children children;
  std::vector<std::string> names;  // node-1, node-2, ...
  std::vector<std::string> uris;   // rank i + 1 is uris[i]
};

struct LocalNodesOptions {
  int count = 0;
  std::string scheme = "tcp";  // of the URIs: tcp, zmq+tcp
  int threads = 1;             // of each node
  std::vector<std::string> arguments;  // more, for each node
  std::string program = kOwnProgram;
  std::chrono::seconds patience{20};
};

/// `program node --listen SCHEME://127.0.0.1:0 --name node-K --threads N ...`, all at once; returns when all
/// have announced their addresses.
LocalNodes start_local_nodes(const LocalNodesOptions& options);

}  // namespace starling::tools

// A command run to its end, its output collected.
#pragma once

#include <string>
#include <vector>

#include "tools/sockets.h"

namespace starling::tools {

struct Finished {
  int status = -1;     // of the exit, 128 + signal otherwise
  std::string output;  // standard output and error, at most 64 KiB of them
};

/// The program is looked up in PATH, its standard input is empty. Killed at the deadline (Kind::timeout).
/// Kind::missing when it cannot be started.
Finished run_command(const std::vector<std::string>& arguments, Deadline deadline);

}  // namespace starling::tools

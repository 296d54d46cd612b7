// A subcommand of the program: one file in tools/commands (or tools/bench) and one line in its all.def.
#pragma once

#include <functional>
#include <span>

namespace CLI {
class App;
}

namespace starling::tools {

/// Adds the command's options to `app` and returns what to do once they are parsed: the exit status. Errors
/// are thrown as core::Error; main turns them into a message and a status (2 for usage, malformed, missing
/// and unsupported; 1 otherwise).
using Define = std::function<int()> (*)(CLI::App& app);

struct Command {
  const char* name;
  const char* summary;
  Define define;
};

std::span<const Command> commands();
std::span<const Command> benchmarks();

}  // namespace starling::tools

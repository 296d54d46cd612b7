// A subcommand of the program: one file in tools/commands (or tools/bench) and one line in its all.def.
// Commands live in namespace starling::tools, benchmarks in starling::tools::bench; a _ in the function's name
// is a - on the command line.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

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
  bool hidden = false;
};

std::span<const Command> commands();
std::span<const Command> benchmarks();

/// The whole program as CLI11 sees it. `chosen` receives what the parsed command does. Completion is made
/// from the same tree.
std::unique_ptr<CLI::App> make_program(std::function<int()>& chosen);

/// The program: everything but the process. Returns the exit status; errors are one line on standard error.
int run_program(std::vector<std::string> arguments);

/// The flag that every command has: one JSON object on standard output.
void add_json_flag(CLI::App& app, bool& json);
/// `value` as one line on standard output. Bytes that are no UTF-8 become U+FFFD.
void print_json(const nlohmann::json& value);
/// `text` as it is on standard output.
void print(std::string_view text);

}  // namespace starling::tools

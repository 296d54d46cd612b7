// The tables of commands and the way from arguments to an exit status.
#include "tools/command.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tools/nearest.h"

namespace starling::tools {

#define COMMAND(name, summary) std::function<int()> name(CLI::App& app);
#define HIDDEN(name, summary) std::function<int()> name(CLI::App& app);
#include "tools/commands/all.def"
#undef COMMAND
#undef HIDDEN

namespace bench {
#define BENCH(name, summary) std::function<int()> name(CLI::App& app);
#include "tools/bench/all.def"
#undef BENCH
}  // namespace bench

namespace {

using core::Kind;

std::string command_line_name(const char* function) {
  std::string name = function;
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

void add_commands(CLI::App& parent, std::span<const Command> table, std::function<int()>& chosen) {
  for (const Command& command : table) {
    CLI::App* app = parent.add_subcommand(command_line_name(command.name), command.summary);
    if (command.hidden) app->group("");
    std::function<int()> run = command.define(*app);
    app->callback([&chosen, run = std::move(run)] { chosen = run; });
  }
}

/// The innermost command that the arguments named, and its words: "bench collectives", empty for the program.
CLI::App* innermost(CLI::App& program, std::string& words) {
  CLI::App* app = &program;
  words.clear();
  for (auto used = app->get_subcommands(); !used.empty(); used = app->get_subcommands()) {
    app = used.front();
    words += (words.empty() ? "" : " ") + app->get_name();
  }
  return app;
}

std::vector<std::string> visible_names(CLI::App& app, bool options) {
  std::vector<std::string> names;
  if (options) {
    for (const CLI::Option* option : app.get_options())
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  } else {
    for (const CLI::App* command : app.get_subcommands([](const CLI::App* a) { return !a->get_group().empty(); }))
      names.push_back(command->get_name());
  }
  return names;
}

/// One sentence for what CLI11 refused.
std::string explain(CLI::App& program, const CLI::ParseError& error) {
  std::string words;
  CLI::App* app = innermost(program, words);
  const std::string prefix = words.empty() ? "" : words + ": ";
  const std::string help = fmt::format(" (see starling {}--help)", words.empty() ? "" : words + " ");
  for (const std::string& extra : program.remaining(true)) {
    if (extra == "--") continue;
    const bool is_option = extra.size() > 1 && extra[0] == '-';
    const std::string name = is_option ? extra.substr(0, extra.find('=')) : extra;
    const auto known = visible_names(*app, is_option);
    const char* what = is_option ? "unknown option" : known.empty() ? "unexpected argument" : "unknown command";
    return fmt::format("{}{} '{}'{}{}", prefix, what, name, suggestion(name, known), help);
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) && !visible_names(*app, false).empty())
    return prefix + "which command?" + help;
  return prefix + error.what() + help;
}

int complain(std::string message, int status) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  fmt::print(stderr, "starling: {}\n", message);
  return status;
}

int status_of(Kind kind) {
  return kind == Kind::usage || kind == Kind::malformed || kind == Kind::missing || kind == Kind::unsupported ? 2 : 1;
}

/// Parses and runs; the exit status.
int parse_and_run(CLI::App& program, std::vector<std::string> arguments, const std::function<int()>& chosen) {
  try {
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    program.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    std::string words;
    print(innermost(program, words)->help());
    return 0;
  } catch (const CLI::CallForVersion& version) {
    print(std::string(version.what()) + "\n");
    return 0;
  } catch (const CLI::ParseError& error) {
    return complain(explain(program, error), 2);
  }
  return chosen();
}

std::function<int()> bench_command(CLI::App& app) {
  auto chosen = std::make_shared<std::function<int()>>();
  add_commands(app, benchmarks(), *chosen);
  app.require_subcommand(1);
  return [chosen] { return (*chosen)(); };
}

}  // namespace

std::span<const Command> commands() {
#define COMMAND(name, summary) {#name, summary, &name},
#define HIDDEN(name, summary) {#name, summary, &name, true},
  static constexpr Command table[] = {
#include "tools/commands/all.def"
  };
#undef COMMAND
#undef HIDDEN
  return table;
}

std::span<const Command> benchmarks() {
#define BENCH(name, summary) {#name, summary, &bench::name},
  static const std::vector<Command> table = {
#include "tools/bench/all.def"
  };
#undef BENCH
  return table;
}

std::unique_ptr<CLI::App> make_program(std::function<int()>& chosen) {
  auto program = std::make_unique<CLI::App>("Many small devices act as one machine.", "starling");
  program->set_version_flag("--version", "starling " STARLING_VERSION);
  program->require_subcommand(1);
  add_commands(*program, commands(), chosen);
  if (!benchmarks().empty()) {
    const Command bench{"bench", "side-by-side measurements and synthetic models", &bench_command};
    add_commands(*program, {&bench, 1}, chosen);
  }
  return program;
}

int run_program(std::vector<std::string> arguments) {
  std::function<int()> chosen;
  const auto program = make_program(chosen);
  try {
    const int status = parse_and_run(*program, std::move(arguments), chosen);
    flush_output();
    return status;
  } catch (const core::Error& error) {
    return complain(error.what(), status_of(error.kind()));
  } catch (const std::exception& error) {
    return complain(error.what(), 1);
  }
}

CLI::Option* add_seed_option(CLI::App& app, std::uint64_t& seed, const std::string& what) {
  // CLI11 reads "-1" as 2^64 - 1.
  return app.add_option("--seed", seed, what)->capture_default_str()->check([](const std::string& text) {
    return std::string(text.starts_with('-') ? "may not be negative" : "");
  });
}

void add_json_flag(CLI::App& app, bool& json) { app.add_flag("--json", json, "one JSON object on standard output"); }

void print_json(const nlohmann::json& value) {
  print(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void flush_output() {
  core::check(std::fflush(stdout) == 0, Kind::refused, "standard output: {}", core::last_error);
}

void print(std::string_view text) {
  core::check(std::fwrite(text.data(), 1, text.size(), stdout) == text.size(), Kind::refused, "standard output: {}",
              core::last_error);
}

}  // namespace starling::tools

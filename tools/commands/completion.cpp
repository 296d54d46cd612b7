// `starling completion`: the script that teaches a shell the commands and options.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/command.h"
#include "tools/completion.h"

namespace starling::tools {

std::function<int()> completion(CLI::App& app) {
  struct Options {
    std::string shell;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  app.add_option("SHELL", options->shell, "bash, zsh or fish")->required();
  add_json_flag(app, options->json);
  return [options] {
    std::function<int()> unused;
    const std::string script = completion_script(*make_program(unused), options->shell);
    options->json ? print_json({{"shell", options->shell}, {"script", script}}) : print(script);
    return 0;
  };
}

}  // namespace starling::tools

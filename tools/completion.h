// Shell completion, made from the tree of commands itself so that it cannot fall behind.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace starling::tools {

/// A script for "bash", "zsh" or "fish". Hidden commands and options are left out. Kind::usage for another shell.
std::string completion_script(const CLI::App& program, const std::string& shell);

}  // namespace starling::tools

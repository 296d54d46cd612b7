#include "tools/mpirun.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/error.h"
#include "tools/process.h"

namespace starling::tools {

using core::Kind;

namespace {

std::vector<std::string> own_arguments() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(in, argument, '\0');) arguments.push_back(argument);
  return arguments;
}

}  // namespace

void become_mpirun(int ranks) {
  std::vector<std::string> command{"mpirun", "-n", std::to_string(ranks), "--oversubscribe"};
  if (::geteuid() == 0) command.emplace_back("--allow-run-as-root");
  const std::vector<std::string> arguments = own_arguments();
  command.push_back(std::filesystem::read_symlink(kOwnProgram).string());
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--nodes" || argument == "--transport") {
      ++i;
    } else if (!argument.starts_with("--nodes=") && !argument.starts_with("--transport=")) {
      command.push_back(argument);
    }
  }
  command.insert(command.end(), {"--nodes", "mpi"});
  std::vector<char*> raw;
  for (std::string& argument : command) raw.push_back(argument.data());
  raw.push_back(nullptr);
  ::execvp("mpirun", raw.data());
  core::fail(Kind::missing, "--transport mpi: cannot start mpirun: {} (package openmpi-bin)", core::last_error);
}

}  // namespace starling::tools

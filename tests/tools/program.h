// Runs the built program as a user does.
#pragma once

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <unistd.h>

#include "core/error.h"
#include "tests/temporary_folder.h"
#include "tools/run.h"

namespace starling::tests {

inline std::string program_path() { return std::string(STARLING_BINARY_DIR) + "/starling"; }

struct Ran {
  int status = -1;
  std::string out, err;
};

/// Its output and its errors apart, through a shell. `before` may set variables.
inline Ran run_starling(const std::string& arguments, const std::string& before = "") {
  namespace fs = std::filesystem;
  std::string file = (fs::temp_directory_path() / "starling-test-XXXXXX").string();
  const int fd = ::mkstemp(file.data());
  REQUIRE(fd >= 0);
  ::close(fd);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  const auto finished = tools::run_command({"bash", "-c", before + " '" + program_path() + "' " + arguments + " 2>" + file}, deadline);
  Ran ran{finished.status, finished.output, {}};
  ran.err = tools::run_command({"cat", file}, deadline).output;
  fs::remove(file);
  return ran;
}

/// What `body` is refused with; "no error" when it is not. The kind must be `kind`.
template <class Body>
std::string refusal(core::Kind kind, Body body) {
  try {
    body();
  } catch (const core::Error& error) {
    CHECK_MESSAGE(error.kind() == kind, core::to_string(error.kind()), ": ", error.what());
    return error.what();
  }
  return "no error";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace starling::tests

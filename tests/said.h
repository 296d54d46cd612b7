// What an error says, for tests of bad input; and a folder that is gone after the test.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include <doctest/doctest.h>

#include "core/error.h"

namespace starling::tests {

/// The message of the error of `kind` that `body` ends with; empty when it ends well.
inline std::string said(const std::function<void()>& body, core::Kind kind) {
  try {
    body();
  } catch (const core::Error& error) {
    CHECK_MESSAGE(error.kind() == kind, error.what());
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  const bool found = text.find(part) != std::string::npos;
  if (!found) MESSAGE("it says: ", text);
  return found;
}

struct TestFolder {
  explicit TestFolder(const std::string& name) : path(std::filesystem::temp_directory_path() / ("starling_" + name)) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~TestFolder() { std::filesystem::remove_all(path); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  void write(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << bytes;
  }

  std::filesystem::path path;
};

}  // namespace starling::tests

// Where tests find the large data: STARLING_DATA, or shared/data beside the repository.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>

#include <doctest/doctest.h>

namespace starling::tests {

/// nullopt, after a message that says what is skipped, when the file is not there.
inline std::optional<std::filesystem::path> data_file(const std::string& name) {
  const char* set = std::getenv("STARLING_DATA");
  const std::filesystem::path path =
      (set ? std::filesystem::path(set) : std::filesystem::path(STARLING_SOURCE_DIR).parent_path() / "shared/data") / name;
  if (std::filesystem::exists(path)) return path;
  MESSAGE("skipped: no ", path.string(), " (set STARLING_DATA)");
  return std::nullopt;
}

/// Small data kept in the repository.
inline std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(STARLING_SOURCE_DIR) / "tests/golden" / name;
}

}  // namespace starling::tests

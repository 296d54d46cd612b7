// Bytes that a format has to keep: tests compare what the encoders write today with files kept in
// tests/fuzz/corpus, which seed the fuzzers as well. STARLING_WRITE_GOLDEN=1 writes the files anew.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "core/bytes.h"

namespace starling::tests {

using GoldenFiles = std::map<std::string, std::string>;

inline std::string as_string(core::Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A fuzz input: the first byte tells the target what the rest is.
inline std::string tagged(int tag, std::string rest) { return static_cast<char>(tag) + std::move(rest); }

/// The names of files that are missing, or hold other bytes than `files` says, a blank before each; empty when all are
/// as they were.
inline std::string differences(const std::string& target, const GoldenFiles& files) {
  const auto folder = std::filesystem::path(STARLING_SOURCE_DIR) / "tests/fuzz/corpus" / target;
  const bool write = std::getenv("STARLING_WRITE_GOLDEN") != nullptr;
  if (write) std::filesystem::create_directories(folder);
  std::string different;
  for (const auto& [name, bytes] : files) {
    if (write) std::ofstream(folder / name, std::ios::binary) << bytes;
    std::ifstream in(folder / name, std::ios::binary);
    const std::string kept{std::istreambuf_iterator<char>(in), {}};
    if (!in || kept != bytes) different += " " + name;
  }
  return different;
}

}  // namespace starling::tests

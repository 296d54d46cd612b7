// Whole files as strings, as the tokenizer tests read the published texts.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace starling::tests {

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace starling::tests

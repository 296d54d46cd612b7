// What a run of `starling train` left behind, for comparisons.
#pragma once

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include <nlohmann/json.hpp>

namespace starling::tests {

/// A whole file, or "" where there is none.
inline std::string contents(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Lines of metrics without the only field in which two runs of one seed may differ.
inline std::string without_wall(const std::string& lines) {
  std::stringstream in(lines), out;
  for (std::string line; std::getline(in, line);) {
    auto json = nlohmann::json::parse(line);
    json.erase("wall_s");
    out << json.dump() << '\n';
  }
  return out.str();
}

}  // namespace starling::tests

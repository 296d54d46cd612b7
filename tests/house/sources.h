// The repository as the house tests see it: its files as text, by path relative to the root.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace starling::tests {

struct SourceFile {
  std::string path;    // "core/tensor.h"
  std::string folder;  // "core"; empty for files at the root
  std::string text;
  std::vector<std::string> lines;

  bool is_cpp() const { return path.ends_with(".h") || path.ends_with(".cpp"); }
  bool is_header() const { return path.ends_with(".h"); }
  bool is_script() const { return text.starts_with("#!"); }
};

inline SourceFile read_source(const std::filesystem::path& root, const std::filesystem::path& file) {
  SourceFile source;
  source.path = std::filesystem::relative(file, root).generic_string();
  const std::size_t slash = source.path.find('/');
  if (slash != std::string::npos) source.folder = source.path.substr(0, slash);
  std::ifstream stream(file, std::ios::binary);
  source.text.assign(std::istreambuf_iterator<char>(stream), {});
  for (std::size_t begin = 0; begin < source.text.size();) {
    std::size_t end = source.text.find('\n', begin);
    if (end == std::string::npos) end = source.text.size();
    source.lines.push_back(source.text.substr(begin, end - begin));
    begin = end + 1;
  }
  return source;
}

/// All text that people write: C++, schemas, tables, scripts, CMake, Python. No data, no build folders.
inline std::vector<SourceFile> read_sources() {
  namespace fs = std::filesystem;
  const fs::path root = STARLING_SOURCE_DIR;
  std::vector<SourceFile> sources;
  for (const char* folder : {"core", "comm", "partition", "federated", "sim", "tools", "examples", "tests", ".ci"}) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (!entry.is_regular_file()) continue;
      const std::string extension = entry.path().extension().string();
      const bool known = extension == ".h" || extension == ".cpp" || extension == ".capnp" || extension == ".def" ||
                         extension == ".py" || extension == ".cmake" || extension == ".in" ||
                         entry.path().filename() == "CMakeLists.txt";
      const bool maybe_script = extension.empty();
      if (!known && !maybe_script) continue;
      SourceFile source = read_source(root, entry.path());
      if (known || source.is_script()) sources.push_back(std::move(source));
    }
  }
  sources.push_back(read_source(root, root / "CMakeLists.txt"));
  std::sort(sources.begin(), sources.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return sources;
}

/// C++ text with comments and the insides of string and character literals replaced by spaces; newlines stay.
inline std::string code_only(std::string_view text) {
  std::string code(text);
  enum { plain, line_comment, block_comment, quoted } state = plain;
  char quote = 0;
  for (std::size_t i = 0; i < code.size(); ++i) {
    const char c = code[i], next = i + 1 < code.size() ? code[i + 1] : '\0';
    if (state == plain) {
      const bool digit_separator = c == '\'' && i > 0 && std::isalnum(static_cast<unsigned char>(code[i - 1])) != 0;
      if (c == '/' && next == '/') state = line_comment;
      else if (c == '/' && next == '*') state = block_comment;
      else if ((c == '"' || c == '\'') && !digit_separator) state = quoted, quote = c;
      if (state == line_comment || state == block_comment) code[i] = ' ';
    } else if (state == quoted) {
      if (c == quote || c == '\n') state = plain;
      else if (c == '\\' && next != '\n') {
        code[i] = ' ';
        code[++i] = ' ';
      } else code[i] = ' ';
    } else if (c == '\n') {
      if (state == line_comment) state = plain;
    } else {
      if (state == block_comment && c == '/' && text[i - 1] == '*') state = plain;
      code[i] = ' ';
    }
  }
  return code;
}

}  // namespace starling::tests

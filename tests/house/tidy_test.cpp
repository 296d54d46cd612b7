// House style as a test: lengths, first comments, the direction of includes between rooms, banned calls, words
// and paths. A finding names file and line.
#include <map>
#include <regex>
#include <set>

#include <doctest/doctest.h>

#include "tests/house/sources.h"

namespace starling::tests {
namespace {

const std::vector<SourceFile>& sources() {
  static const std::vector<SourceFile> all = read_sources();
  return all;
}

const std::set<std::string> kLibraries = {"core", "comm", "partition", "federated", "sim"};

/// Fails once, with all findings.
void expect_none(const std::vector<std::string>& findings) {
  std::string text;
  for (const std::string& finding : findings) text += "\n  " + finding;
  CHECK_MESSAGE(findings.empty(), text);
}

/// "path:line: the line" of every match of `pattern` in `text`, which is the file's or a version of it.
void find_matches(const SourceFile& file, const std::string& text, const std::regex& pattern,
                  std::vector<std::string>& findings) {
  for (std::sregex_iterator match(text.begin(), text.end(), pattern), end; match != end; ++match) {
    const auto position = match->position() + static_cast<std::ptrdiff_t>(match->length()) - 1;
    const auto line = static_cast<std::size_t>(std::count(text.begin(), text.begin() + position, '\n'));
    findings.push_back(file.path + ":" + std::to_string(line + 1) + ": " + file.lines.at(line));
  }
}

struct Function {
  std::size_t line;  // from 0
  std::size_t length;
};

/// Functions of a file by counting braces: a block directly in a namespace or type whose head has parentheses.
std::vector<Function> functions(const SourceFile& file) {
  enum class Block { space, function, other };
  static const std::regex is_space(R"(\b(namespace|class|struct|union|extern)\b)");
  static const std::regex preprocessor(R"(#(?:[^\n\\]|\\\n|\\)*)");
  std::string code = code_only(file.text);
  for (std::smatch match; std::regex_search(code, match, preprocessor);)
    for (auto c = match[0].first; c != match[0].second; ++c)
      if (*c != '\n') code[static_cast<std::size_t>(c - code.cbegin())] = ' ';
  std::vector<std::pair<Block, std::size_t>> open;
  std::vector<Function> found;
  std::size_t line = 0, head = 0;
  for (std::size_t i = 0; i < code.size(); ++i) {
    if (code[i] == '\n') ++line;
    if (code[i] == '{') {
      const std::string text = code.substr(head, i - head);
      const bool outside = open.empty() || open.back().first == Block::space;
      const bool space = outside && text.find('(') == std::string::npos && std::regex_search(text, is_space);
      const bool function = outside && !space && text.find('(') != std::string::npos;
      open.emplace_back(space ? Block::space : function ? Block::function : Block::other, line);
    } else if (code[i] == '}' && !open.empty()) {
      if (open.back().first == Block::function) found.push_back({open.back().second, line - open.back().second + 1});
      open.pop_back();
    }
    if (code[i] == '{' || code[i] == '}' || code[i] == ';') head = i + 1;
  }
  return found;
}

TEST_CASE("the house is found") {
  CHECK(sources().size() > 30);
  CHECK(std::any_of(sources().begin(), sources().end(), [](const auto& f) { return f.path == "core/tensor.h"; }));
}

TEST_CASE("no file is longer than 500 lines and no function longer than 80, or 120 with a table of cases") {
  std::vector<std::string> findings;
  for (const SourceFile& file : sources()) {
    if (file.lines.size() > 500) findings.push_back(file.path + ": " + std::to_string(file.lines.size()) + " lines");
    if (!file.is_cpp()) continue;
    const std::size_t longest = file.folder == "tests" ? 120 : 80;
    for (const Function& function : functions(file))
      if (function.length > longest)
        findings.push_back(file.path + ":" + std::to_string(function.line + 1) + ": a function of " +
                           std::to_string(function.length) + " lines");
  }
  expect_none(findings);
}

TEST_CASE("the function counter sees functions, members and what is neither") {
  SourceFile file;
  file.text = "#if defined(x)\nnamespace a {\nint f(int x) {\n  if (x) {\n    g();\n  }\n  return '{';\n}\nstruct S {\n  int h() {\n"
              "    return 1;  // }\n  }\n};\nconst int list[] = {1,\n 2};\n}\n";
  const auto found = functions(file);
  REQUIRE(found.size() == 2);
  CHECK(found[0].line == 2);
  CHECK(found[0].length == 6);
  CHECK(found[1].line == 9);
  CHECK(found[1].length == 3);
}

TEST_CASE("every file starts by saying what it is for") {
  std::vector<std::string> findings;
  for (const SourceFile& file : sources()) {
    const std::size_t first = file.is_script() ? 1 : 0;
    const std::string line = file.lines.size() > first ? file.lines[first] : "";
    // A source whose header says it need not repeat it.
    const std::size_t slash = line.rfind('/');
    if (line.starts_with("#include \"") && slash != std::string::npos) {
      const std::string header = line.substr(slash + 1, line.rfind('.') - slash - 1);
      const std::string name = std::filesystem::path(file.path).stem().string();
      if (name == header || name == header + "_test") continue;
    }
    const bool comment = line.starts_with("// ") || line.starts_with("# ") || line.starts_with("\"\"\"");
    if (!comment || line.size() < 12) findings.push_back(file.path + ": " + line);
  }
  expect_none(findings);
}

TEST_CASE("headers guard themselves and stay in the namespace of their folder") {
  std::vector<std::string> findings;
  for (const SourceFile& file : sources()) {
    if (!file.is_header()) continue;
    // What is included once per instruction set guards itself by Highway's toggle.
    const bool per_target = file.text.find("defined(HWY_TARGET_TOGGLE)") != std::string::npos;
    if (!per_target && file.text.find("#pragma once") == std::string::npos)
      findings.push_back(file.path + ": no #pragma once");
    if (kLibraries.count(file.folder) != 0 && file.text.find("namespace starling") != std::string::npos &&
        file.text.find("namespace starling::" + file.folder) == std::string::npos)
      findings.push_back(file.path + ": not in namespace starling::" + file.folder);
  }
  expect_none(findings);
}

TEST_CASE("a folder includes only what the layout allows, and every include exists") {
  const std::map<std::string, std::set<std::string>> allowed = {
      {"core", {"core"}},
      {"comm", {"core", "comm"}},
      {"partition", {"core", "comm", "partition"}},
      {"federated", {"core", "comm", "federated"}},
      {"sim", {"core", "comm", "partition", "federated", "sim"}},
      {"tools", {"core", "comm", "partition", "federated", "sim", "tools"}},
      {"examples", {"core", "comm", "partition", "federated", "sim", "tools", "examples"}},
      {"tests", {"core", "comm", "partition", "federated", "sim", "tools", "examples", "tests"}},
  };
  static const std::regex include(R"re(^#\s*include "([^"]+)")re");
  const std::filesystem::path root = STARLING_SOURCE_DIR;
  std::vector<std::string> findings;
  for (const SourceFile& file : sources()) {
    // The consumer stands for a user's program, outside the house.
    if (!file.is_cpp() || file.path.starts_with("tests/house/consumer/")) continue;
    for (const std::string& line : file.lines) {
      std::smatch match;
      if (!std::regex_search(line, match, include)) continue;
      const std::string path = match[1];
      const std::string folder = path.substr(0, path.find('/'));
      if (path.find('/') == std::string::npos || allowed.at(file.folder).count(folder) == 0)
        findings.push_back(file.path + " may not include " + path);
      std::filesystem::path real = root / path;
      if (path.ends_with(".capnp.h")) real = root / path.substr(0, path.size() - 2);
      if (!std::filesystem::exists(real)) findings.push_back(file.path + " includes " + path + ", which is not there");
    }
  }
  expect_none(findings);
}

TEST_CASE("libraries never print, exit, abort, sleep or run commands") {
  static const std::regex banned(
      R"((^|[^\w.>])(std::)?(printf|fprintf|vprintf|puts|fputs|putchar|perror|exit|_exit|quick_exit|terminate|system|popen|usleep|nanosleep)\s*\()"
      R"(|std::(cout|cerr|clog)\b|(^|[^\w.>:])(std::)?abort\s*\(\s*\))");
  static const std::regex sleeping(R"(\bsleep_(for|until)\b)");
  std::vector<std::string> findings;
  for (const SourceFile& file : sources()) {
    if (!file.is_cpp() || kLibraries.count(file.folder) == 0) continue;
    const std::string code = code_only(file.text);
    find_matches(file, code, banned, findings);
    // MPI offers no wait that ends at a deadline: it is asked at intervals, in this one place.
    if (file.path != "comm/transports/mpi.cpp") find_matches(file, code, sleeping, findings);
  }
  expect_none(findings);
}

TEST_CASE("only comm/asio.h includes Asio, and nobody asks the compiler for the machine it runs on") {
  static const std::regex asio(R"(#\s*include <boost/asio)");
  static const std::regex native("-m(arch|tune|cpu)=" "native");
  std::vector<std::string> findings;
  for (const SourceFile& file : sources()) {
    if (file.path != "comm/asio.h") find_matches(file, file.text, asio, findings);
    find_matches(file, file.text, native, findings);
  }
  expect_none(findings);
}

TEST_CASE("no file holds reminders, characters beyond ASCII, tabs or paths of one machine") {
  static const std::regex reminder("\\b(TO" "DO|FIX" "ME|HA" "CK|XX" "X)\\b");
  static const std::regex machine_path("[\"' (=](/wo" "rk/|/ho" "me/[a-z]|/ro" "ot/|/mn" "t/)");
  static const std::regex odd_character("[^\\x0a\\x20-\\x7e]");
  std::vector<std::string> findings;
  for (const SourceFile& file : sources()) {
    find_matches(file, file.text, reminder, findings);
    find_matches(file, file.text, odd_character, findings);
    if (!file.is_script()) find_matches(file, file.text, machine_path, findings);
  }
  expect_none(findings);
}

TEST_CASE("every test file is part of a test program that ctest runs") {
  const SourceFile list = read_source(STARLING_SOURCE_DIR, std::filesystem::path(STARLING_SOURCE_DIR) / "tests/CMakeLists.txt");
  static const std::regex registered(R"((?:^|\n)starling_tests\((\w+))");
  std::set<std::string> folders;
  for (std::sregex_iterator match(list.text.begin(), list.text.end(), registered), end; match != end; ++match)
    folders.insert((*match)[1]);
  CHECK(folders.size() >= 5);
  std::vector<std::string> findings;
  for (const SourceFile& file : sources()) {
    if (!file.path.starts_with("tests/") || !file.path.ends_with("_test.cpp")) continue;
    const std::string inner = file.path.substr(6);
    const std::size_t slash = inner.find('/');
    if (slash != inner.rfind('/') || folders.count(inner.substr(0, slash)) == 0)
      findings.push_back(file.path + ": its folder is not in tests/CMakeLists.txt");
    if (file.text.find("TEST_CASE") == std::string::npos) findings.push_back(file.path + ": no TEST_CASE");
  }
  expect_none(findings);
}

}  // namespace
}  // namespace starling::tests

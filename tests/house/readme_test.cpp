// The documents tell the truth: every file, command and option table they name exists.
#include <regex>
#include <set>

#include <doctest/doctest.h>

#include "tests/house/sources.h"

namespace starling::tests {
namespace {

namespace fs = std::filesystem;

std::vector<SourceFile> documents() {
  const fs::path root = STARLING_SOURCE_DIR;
  std::vector<SourceFile> found;
  found.push_back(read_source(root, root / "README.md"));
  for (const char* folder : {"examples", "tools", "tests", "core", "comm", "partition", "federated", "sim"}) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder))
      if (entry.path().extension() == ".md") found.push_back(read_source(root, entry.path()));
  }
  return found;
}

std::set<std::string> matches(const std::string& text, const std::regex& pattern) {
  std::set<std::string> found;
  for (std::sregex_iterator match(text.begin(), text.end(), pattern), end; match != end; ++match)
    found.insert((*match)[1]);
  return found;
}

TEST_CASE("every file that a document names exists") {
  static const std::regex link(R"(\]\(([^)#:]+)\))");
  static const std::regex path(
      R"re((?:^|[`\s(])((?:core|comm|partition|federated|sim|tools|tests|examples|\.ci)/[A-Za-z0-9_./-]*[A-Za-z0-9_/]))re");
  const fs::path root = STARLING_SOURCE_DIR;
  for (const SourceFile& document : documents()) {
    CAPTURE(document.path);
    for (const std::string& name : matches(document.text, path)) CHECK_MESSAGE(fs::exists(root / name), name);
    for (const std::string& name : matches(document.text, link))
      CHECK_MESSAGE(fs::exists((root / document.path).parent_path() / name), name);
  }
}

TEST_CASE("every command that a document shows is one of the program's") {
  static const std::regex entry(R"((?:^|\n)COMMAND\((\w+))");
  static const std::regex shown(R"((?:^|\n|`|\$ |/)starling ([a-z][a-z-]*))");
  const fs::path root = STARLING_SOURCE_DIR;
  static const std::regex bench_entry(R"((?:^|\n)BENCH\((\w+))");
  std::set<std::string> known = matches(read_source(root, root / "tools/commands/all.def").text, entry);
  REQUIRE(!known.empty());
  known.insert("bench");  // the folder of measurements has a table of its own
  REQUIRE(!matches(read_source(root, root / "tools/bench/all.def").text, bench_entry).empty());
  for (const SourceFile& document : documents()) {
    CAPTURE(document.path);
    for (std::string name : matches(document.text, shown)) {
      std::replace(name.begin(), name.end(), '-', '_');
      CHECK_MESSAGE(known.count(name) == 1, name);
    }
  }
}

TEST_CASE("the README starts with the two commands that do everything") {
  const fs::path root = STARLING_SOURCE_DIR;
  const std::string text = read_source(root, root / "README.md").text;
  const std::size_t first = text.find("tools/quickstart"), second = text.find("tools/test");
  REQUIRE(first != std::string::npos);
  REQUIRE(second != std::string::npos);
  CHECK(first < second);
  CHECK(static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(second), '\n')) < 25);
}

}  // namespace
}  // namespace starling::tests

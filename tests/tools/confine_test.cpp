// A thread that may read one folder reads no other one, whatever leads there.
#include "tools/confine.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include <doctest/doctest.h>

#include "tests/tools/program.h"

using namespace starling;

TEST_CASE("after confinement a thread reads its own folder and the system's, and nothing else") {
  const tests::TemporaryFolder folder;
  for (const std::string name : {"mine", "theirs"}) {
    std::filesystem::create_directories(folder / name);
    std::ofstream(folder / (name + "/text.txt")) << name;
  }
  std::filesystem::create_symlink(folder / "theirs/text.txt", folder / "mine/link.txt");
  std::ifstream open_before(folder / "theirs/text.txt");
  const auto readable = [](const std::string& path) { return std::ifstream(path).good(); };
  bool confined = false, mine = false, theirs = true, link = true, system = false, before = false, listed = true, inherited = true;
  std::thread([&] {
    confined = tools::confine_reading({folder / "mine", folder / "not-there"});
    mine = readable(folder / "mine/text.txt");
    theirs = readable(folder / "theirs/text.txt");
    link = readable(folder / "mine/link.txt");
    system = readable("/proc/self/status") && readable("/etc/passwd");
    std::string word;
    before = open_before >> word && word == "theirs";
    std::error_code error;
    listed = std::filesystem::directory_iterator(folder / "theirs", error) != std::filesystem::directory_iterator();
    std::thread([&] { inherited = readable(folder / "theirs/text.txt"); }).join();
  }).join();
  CHECK(readable(folder / "theirs/text.txt"));  // other threads are free
  if (!confined) {
    MESSAGE("skipped: this kernel has no Landlock");
    return;
  }
  CHECK(mine);
  CHECK(system);
  CHECK(before);
  CHECK_FALSE(theirs);
  CHECK_FALSE(link);
  CHECK_FALSE(listed);
  CHECK_FALSE(inherited);
}

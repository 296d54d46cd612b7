// Pages of mapped files that go back: what was mapped reads as before, what was not is left alone.
#include "core/file_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "core/file.h"
#include "core/ops/packed.h"
#include "tests/temporary_folder.h"

using namespace starling::core;

namespace {

std::size_t resident_pages(Bytes bytes) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((bytes.size() + page - 1) / page);
  REQUIRE(::mincore(const_cast<std::byte*>(bytes.data()), bytes.size(), pages.data()) == 0);
  return static_cast<std::size_t>(std::count_if(pages.begin(), pages.end(), [](unsigned char p) { return (p & 1) != 0; }));
}

/// KiB of this process's memory by a name of /proc/self/status.
std::int64_t memory(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name + ":")) return std::stoll(line.substr(name.size() + 1));
  FAIL("no line " << name);
  return 0;
}

}  // namespace

TEST_CASE("released pages of a file read the same again") {
  const starling::tests::TemporaryFolder folder;
  std::vector<std::byte> content(100'000);
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<std::byte>(i * 7 + i / 256);
  write_file(folder / "weights", [&](const Sink& sink) { sink(content); });
  const auto file = MappedFile::open(folder / "weights");
  REQUIRE(std::equal(content.begin(), content.end(), file->bytes().begin()));
  CHECK(resident_pages(file->bytes()) > 0);
  release_file_pages(file->bytes());
  release_file_pages(file->bytes().subspan(5000, 20'000));
  release_file_pages(file->bytes().subspan(1, 10));
  CHECK(std::equal(content.begin(), content.end(), file->bytes().begin()));
}

TEST_CASE("memory that is no mapped file keeps what it holds") {
  std::vector<std::byte> content(1 << 20, std::byte{7});
  release_file_pages(content);
  CHECK(std::all_of(content.begin(), content.end(), [](std::byte b) { return b == std::byte{7}; }));
}

TEST_CASE("a mapped matrix is never in memory twice while it is packed") {
  const starling::tests::TemporaryFolder folder;
  constexpr std::int64_t kRows = 8192, kColumns = 8192, kMiB = 1024;  // KiB; the matrix takes 68 MiB
  write_file(folder / "weights", [&](const Sink& sink) {
    const std::vector<std::byte> row(kColumns / 32 * 34, std::byte{1});
    for (std::int64_t i = 0; i < kRows; ++i) sink(row);
  });
  const auto file = MappedFile::open(folder / "weights");
  const Tensor stored = Tensor::borrowed(Type::q8_0, {kRows, kColumns}, file->bytes(), file);
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins anew
  const std::int64_t before = memory("VmHWM");
  if (before > memory("VmRSS") + kMiB) {
    MESSAGE("skipped: this system does not let the peak begin anew");
    return;
  }
  Pool pool(2);
  const Tensor packed = pack_matrix(stored, pool);
  CHECK(memory("VmHWM") - before < static_cast<std::int64_t>(packed.bytes().size()) / 1024 + 40 * kMiB);
}

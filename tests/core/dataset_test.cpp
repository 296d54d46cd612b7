// Data sets: the real ones where they are, and broken or hostile files.
#include "core/data/dataset.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>

#include <doctest/doctest.h>

#include "core/data/archive.h"
#include "core/data/idx.h"
#include "core/error.h"
#include "tests/data.h"

using namespace starling;
using namespace starling::core;
namespace fs = std::filesystem;

namespace {

struct Folder {
  Folder() : path(fs::temp_directory_path() / "starling_dataset_test") {
    fs::remove_all(path);
    fs::create_directories(path / "mnist");
  }
  ~Folder() { fs::remove_all(path); }
  void write(const std::string& name, const std::string& bytes) const { std::ofstream(path / name, std::ios::binary) << bytes; }
  fs::path path;
};

std::string idx(std::vector<std::uint32_t> sizes, std::size_t values, char value = 0) {
  std::string bytes{0, 0, 8, static_cast<char>(sizes.size())};
  for (const std::uint32_t s : sizes)
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(s >> shift);
  return bytes + std::string(values, value);
}

std::string said(const std::function<void()>& body, Kind kind) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(error.kind() == kind);
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the image sets have their published sizes and labels") {
  const auto file = tests::data_file("fashion-mnist/t10k-labels-idx1-ubyte.gz");
  if (!file) return;
  const fs::path folder = file->parent_path().parent_path();
  for (const std::string name : {"mnist", "fashion-mnist"}) {
    CAPTURE(name);
    const Dataset d = load_dataset({name, folder, 0});
    CHECK(d.train.count == 60000);
    CHECK(d.test.count == 10000);
    CHECK(d.input == Shape{1, 28, 28});
    std::vector<int> classes(10);
    for (const std::int32_t label : d.test.labels) ++classes.at(static_cast<std::size_t>(label));
    if (name == "fashion-mnist") CHECK(classes == std::vector<int>(10, 1000));
    double sum = 0, squares = 0;
    for (const float v : d.train.values) {
      sum += static_cast<double>(v);
      squares += static_cast<double>(v) * static_cast<double>(v);
    }
    const auto n = static_cast<double>(d.train.values.size());
    CHECK(std::abs(sum / n) < 0.002);
    CHECK(squares / n == doctest::Approx(1).epsilon(0.005));
  }
  const Dataset some = load_dataset({"cifar10", folder, 12000});
  CHECK(some.train.count == 12000);
  CHECK(some.test.count == 10000);
  CHECK(some.input == Shape{3, 32, 32});
}

TEST_CASE("a set that is missing says where it comes from") {
  const Folder folder;
  const std::string text = said([&] { load_dataset({"mnist", folder.path, 0}); }, Kind::missing);
  CHECK(contains(text, "no train-images-idx3-ubyte"));
  CHECK(contains(text, "yann.lecun.com"));
  CHECK(contains(text, "STARLING_DATA"));
  CHECK(contains(said([&] { load_dataset({"mnits", folder.path, 0}); }, Kind::usage), "known: mnist fashion-mnist cifar10"));
}

TEST_CASE("broken files are refused by name and field") {
  const Folder folder;
  const auto load = [&] { load_dataset({"mnist", folder.path, 0}); };
  folder.write("mnist/train-labels-idx1-ubyte", idx({3}, 3));
  folder.write("mnist/train-images-idx3-ubyte", idx({3, 28, 28}, 3 * 784 - 1));
  CHECK(contains(said(load, Kind::malformed), "train-images-idx3-ubyte: 2351 values, expected 2352"));
  folder.write("mnist/train-images-idx3-ubyte", idx({3, 28, 27}, 3 * 28 * 27));
  CHECK(contains(said(load, Kind::malformed), "expected N x 28 x 28"));
  folder.write("mnist/train-images-idx3-ubyte", idx({4, 28, 28}, 4 * 784));
  CHECK(contains(said(load, Kind::malformed), "3 labels for 4 images"));
  folder.write("mnist/train-images-idx3-ubyte", idx({3, 28, 28}, 3 * 784));
  folder.write("mnist/train-labels-idx1-ubyte", idx({3}, 3, 11));
  CHECK(contains(said(load, Kind::malformed), "label 11 of example 0"));
  folder.write("mnist/train-images-idx3-ubyte", idx({0xffffffff, 0xffffffff, 0xffffffff}, 10));
  CHECK(contains(said(load, Kind::malformed), "more values than the file has bytes"));
  folder.write("mnist/train-images-idx3-ubyte", "PK\3\4");
  CHECK(contains(said(load, Kind::malformed), "begins with 50 4b 03 04"));
  const std::string good = idx({2, 2}, 4);
  for (std::size_t n = 0; n < good.size(); ++n)
    CHECK_THROWS_AS(parse_idx(Bytes(reinterpret_cast<const std::byte*>(good.data()), n), "cut"), Error);
}

TEST_CASE("a small file that unpacks to much is stopped, and a broken one is named") {
  const Folder folder;
  const std::string zeros(1 << 20, '\0');
  folder.write("zeros", zeros);
  REQUIRE(std::system(("gzip -k '" + (folder.path / "zeros").string() + "'").c_str()) == 0);
  const fs::path packed = folder.path / "zeros.gz";
  CHECK(fs::file_size(packed) < 5000);
  CHECK(read_packed(packed, 1 << 20).size() == 1 << 20);
  CHECK(contains(said([&] { read_packed(packed, (1 << 20) - 1); }, Kind::malformed), "unpacks to more than 1048575 bytes"));
  fs::resize_file(packed, fs::file_size(packed) / 2);
  CHECK(contains(said([&] { read_packed(packed, 1 << 20); }, Kind::malformed), "zeros.gz"));
  folder.write("plain", "as it is");
  CHECK(read_packed(folder.path / "plain", 100).size() == 8);
  folder.write("nothing", "");
  CHECK(read_packed(folder.path / "nothing", 100).empty());
  REQUIRE(std::system(("tar -C '" + folder.path.string() + "' -czf '" + (folder.path / "two.tar.gz").string() + "' plain zeros").c_str()) == 0);
  std::vector<std::string> names;
  const auto visit = [&](const std::string& name, Bytes bytes) { names.push_back(name + std::to_string(bytes.size())); };
  read_archive(folder.path / "two.tar.gz", 10, 2 << 20, visit);
  CHECK(names == std::vector<std::string>{"plain8", "zeros1048576"});
  CHECK_THROWS_AS(read_archive(folder.path / "two.tar.gz", 1, 2 << 20, visit), Error);
  CHECK_THROWS_AS(read_archive(folder.path / "two.tar.gz", 10, 1 << 20, visit), Error);
}

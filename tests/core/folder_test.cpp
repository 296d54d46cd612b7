// The user's own data: tables and arrays, read exactly, and every mistake named.
#include <cstring>

#include "core/data/csv.h"
#include "core/data/dataset.h"
#include "core/data/npy.h"
#include "tests/said.h"

using namespace starling;
using namespace starling::core;
using tests::contains;
using tests::said;
using tests::TestFolder;

namespace {

Dataset load(const TestFolder& folder, std::int64_t max = 0) {
  DatasetOptions o;
  o.name = "folder";
  o.path = folder.path;
  o.train_max = max;
  return load_dataset(o);
}

std::string refused(const TestFolder& folder, Kind kind = Kind::malformed) {
  return said([&] { load(folder); }, kind);
}

/// As NumPy writes it, but for the padding of the header.
template <class T>
std::string npy(const std::string& type, const std::string& shape, const std::vector<T>& values) {
  const std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }\n";
  std::string bytes = "\x93NUMPY" + std::string{1, 0, static_cast<char>(header.size()), 0} + header;
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  return bytes;
}

Npy parse(const std::string& bytes) { return parse_npy(std::as_bytes(std::span(bytes)), "a.npy"); }

}  // namespace

TEST_CASE("tables with labels and owners become a data set") {
  const TestFolder folder("folder_tables");
  folder.write("train.csv", "a,owner,label,b\r\n1,zoe, 2 ,0.5\r\n\r\n-3,adam,0,1e-2\r\n4,zoe,1,7\r\n");
  folder.write("test.csv", "label,a,b\n4,8,9\n");
  const Dataset d = load(folder);
  CHECK(d.input == Shape{2});
  CHECK(d.classes == 5);
  CHECK(d.train.values == std::vector<float>{1, 0.5f, -3, 0.01f, 4, 7});
  CHECK(d.train.labels == std::vector<std::int32_t>{2, 0, 1});
  CHECK(d.owners == std::vector<std::int32_t>{1, 0, 1});
  CHECK(d.test.values == std::vector<float>{8, 9});
  CHECK(load(folder, 2).owners == std::vector<std::int32_t>{1, 0});
  CHECK(load(folder, 2).train.values.size() == 4);
}

TEST_CASE("tables that are wrong are named by line and column") {
  const TestFolder folder("folder_broken_tables");
  const auto with = [&](const std::string& train) {
    folder.write("train.csv", train);
    return refused(folder);
  };
  folder.write("test.csv", "label,a\n0,1\n");
  CHECK(with("label,a\n0,1\n") == "");
  CHECK(contains(with(""), "train.csv: empty, expected a header"));
  CHECK(contains(with("a,b\n1,2\n"), "train.csv: line 1: the header has no column 'label'"));
  CHECK(contains(with("label,owner\n1,2\n"), "no column beside"));
  CHECK(contains(with("label,a,a\n1,2,3\n"), "two columns are named 'a'"));
  CHECK(contains(with("label,a\n1,2\n1\n"), "line 3: 1 fields, expected 2"));
  CHECK(contains(with("label,a\n1,\"2\"\n"), "line 2: 'a' is '\"2\"', expected a number"));
  CHECK(contains(with("label,a\n1,nan\n"), "'a' is 'nan'"));
  CHECK(contains(with("label,a\n1,1e99\n"), "'a' is '1e99'"));
  CHECK(contains(with("label,a\n-1,1\n"), "'label' is '-1', expected a whole number from 0 to 65535"));
  CHECK(contains(with("label,a\n99999999999,1\n"), "'label' is '99999999999'"));
  CHECK(contains(with("label,a\n"), "a header and no examples"));
  CHECK(contains(with("label,b\n0,1\n"), "test.csv: the columns are a, those of train.csv b"));
  std::filesystem::remove(folder.path / "test.csv");
  CHECK(contains(refused(folder, Kind::missing), "test.csv: no such file"));
}

TEST_CASE("arrays of every kind become a data set") {
  const TestFolder folder("folder_arrays");
  folder.write("x_train.npy", npy<std::uint8_t>("|u1", "2, 1, 2, 2", {0, 1, 2, 3, 255, 4, 5, 6}));
  folder.write("y_train.npy", npy<std::int64_t>("<i8", "2,", {3, 0}));
  folder.write("x_test.npy", npy<double>("<f8", "1, 1, 2, 2", {0.5, -1, 0, 1e9}));
  folder.write("y_test.npy", npy<std::int32_t>("<i4", "1,", {1}));
  const Dataset d = load(folder);
  CHECK(d.input == Shape{1, 2, 2});
  CHECK(d.classes == 4);
  CHECK(d.train.values == std::vector<float>{0, 1, 2, 3, 255, 4, 5, 6});
  CHECK(d.test.values == std::vector<float>{0.5f, -1, 0, 1e9f});
  CHECK(d.owners.empty());
  folder.write("owner_train.npy", npy<std::int32_t>("<i4", "2,", {-7, 2'000'000'000}));
  CHECK(load(folder).owners == std::vector<std::int32_t>{-7, 2'000'000'000});
  folder.write("owner_train.npy", npy<std::int32_t>("<i4", "1,", {1}));
  CHECK(contains(refused(folder), "owner_train.npy: shape (1), expected (2): one for each example"));
  std::filesystem::remove(folder.path / "owner_train.npy");
  folder.write("y_test.npy", npy<float>("<f4", "1,", {1}));
  CHECK(contains(refused(folder, Kind::unsupported), "y_test.npy: descr is '<f4', expected whole numbers"));
  folder.write("y_test.npy", npy<std::int32_t>("<i4", "1,", {65536}));
  CHECK(contains(refused(folder), "y_test.npy: value 0 is 65536, expected 0 to 65535"));
  folder.write("y_test.npy", npy<std::int32_t>("<i4", "1,", {0}));
  folder.write("x_test.npy", npy<float>("<f4", "1, 4", {0, 0, 0, 0}));
  CHECK(contains(refused(folder), "x_test.npy: examples of 4, those of x_train.npy are 1 x 2 x 2"));
  folder.write("x_test.npy", npy<float>("<f4", "0, 4", {}));
  CHECK(contains(refused(folder), "x_test.npy: shape (0, 4)"));
  folder.write("x_test.npy", npy<float>("<f4", "4,", {0, 0, 0, 0}));
  CHECK(contains(refused(folder), "x_test.npy: shape (4), expected (examples, features...)"));
  std::filesystem::remove(folder.path / "x_test.npy");
  CHECK(contains(refused(folder, Kind::missing), "x_test.npy: no such file"));
}

TEST_CASE("a folder that is not set or holds nothing says what is expected") {
  DatasetOptions o;
  o.name = "folder";
  CHECK(contains(said([&] { load_dataset(o); }, Kind::usage), "path is not set; it names a folder with train.csv"));
  CHECK(contains(refused(TestFolder("folder_empty"), Kind::missing), "holds neither train.csv nor x_train.npy"));
}

TEST_CASE("an NPY file is refused at every cut and by every wrong field") {
  const std::string good = npy<float>("<f4", "2,", {1, 2});
  CHECK(npy_floats(parse(good), "a.npy") == std::vector<float>{1, 2});
  for (std::size_t n = 0; n < good.size(); ++n) CHECK(contains(said([&] { parse(good.substr(0, n)); }, Kind::malformed), "a.npy"));
  const auto message = [&](const std::string& bytes, Kind kind = Kind::malformed) { return said([&] { parse(bytes); }, kind); };
  CHECK(contains(message(good + "x"), "values at offset"));
  CHECK(contains(message(npy<float>("<f4", "4611686018427387904, 4", {})), "shape at offset"));
  CHECK(contains(message(npy<float>("<f4", "99999999999999999999,", {})), "shape holds something else than sizes"));
  CHECK(contains(message(npy<float>("<f4", "-2,", {})), "shape holds something else than sizes"));
  CHECK(contains(message(npy<float>("<f4", "1,1,1,1,1,1,1,1,1", {1})), "shape has more than 8 sizes"));
  CHECK(contains(message(npy<float>(">f4", "2,", {1, 2}), Kind::unsupported), "descr is '>f4'"));
  CHECK(contains(message(npy<float>("|O", "2,", {1, 2}), Kind::unsupported), "descr is '|O'"));
  std::string fortran = good;
  fortran.replace(fortran.find("False"), 5, "True ");
  CHECK(contains(message(fortran, Kind::unsupported), "fortran_order is True"));
  std::string key = good;
  key.replace(key.find("descr"), 5, "order");
  CHECK(contains(message(key), "the header has a key 'order'"));
  CHECK(contains(message("PK\3\4 and more"), "magic"));
  const std::string infinite = npy<float>("<f4", "1,", {1.0f / 0.0f});
  CHECK(contains(said([&] { npy_floats(parse(infinite), "a.npy"); }, Kind::malformed), "value 0 is not finite"));
}

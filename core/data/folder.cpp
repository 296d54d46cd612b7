// The user's own data, a folder of CSV or of NPY files; values are taken as they are.
//
//   train.csv, test.csv    a header, then a row for every example. The column "label" holds whole numbers from 0, the
//                          column "owner" (may be left out) any text that tells whose the example is; all others are
//                          features. Both files have the same feature columns in the same order.
//   x_train.npy, y_train.npy, x_test.npy, y_test.npy, owner_train.npy (may be left out)
//                          x {examples, features...} with up to three dimensions of an example, as {channels, height,
//                          width}, in f4, f8, i4, i8 or u1; y {examples} whole numbers from 0; owner {examples} whole
//                          numbers.
#include <limits>
#include <map>

#include "core/data/archive.h"
#include "core/data/csv.h"
#include "core/data/dataset.h"
#include "core/data/files.h"
#include "core/data/npy.h"
#include "core/error.h"

namespace starling::core {
namespace {

namespace fs = std::filesystem;

constexpr std::int32_t kAnyLow = std::numeric_limits<std::int32_t>::min(), kAnyHigh = std::numeric_limits<std::int32_t>::max();

std::vector<std::byte> read(const fs::path& file) {
  check(fs::is_regular_file(file), Kind::missing, "{}: no such file", file.string());
  return read_packed(file, kDataFileBytesMax);
}

LabelledTable read_table(const fs::path& file) {
  const std::vector<std::byte> bytes = read(file);
  return parse_labelled_table({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file.string());
}

Examples examples(LabelledTable table) {
  Examples e;
  e.count = table.count;
  e.values_each = static_cast<std::int64_t>(table.columns.size());
  e.values = std::move(table.values);
  e.labels = std::move(table.labels);
  return e;
}

Dataset load_tables(const fs::path& folder) {
  LabelledTable train = read_table(folder / "train.csv"), test = read_table(folder / "test.csv");
  check(train.columns == test.columns, Kind::malformed, "{}: the columns are {}, those of train.csv {}", (folder / "test.csv").string(),
        fmt::join(test.columns, ","), fmt::join(train.columns, ","));
  Dataset d;
  d.input = {static_cast<std::int64_t>(train.columns.size())};
  std::map<std::string, std::int32_t> numbers;
  for (const std::string& owner : train.owners) numbers[owner] = 0;
  std::int32_t next = 0;
  for (auto& [owner, number] : numbers) number = next++;
  for (const std::string& owner : train.owners) d.owners.push_back(numbers.at(owner));
  d.train = examples(std::move(train));
  d.test = examples(std::move(test));
  return d;
}

/// Whole numbers, one for each of `count` examples.
std::vector<std::int32_t> read_column(const fs::path& file, std::int64_t count, std::int32_t low, std::int32_t high) {
  const std::vector<std::byte> bytes = read(file);
  const Npy array = parse_npy(bytes, file.string());
  check(array.shape == Shape{count}, Kind::malformed, "{}: shape ({}), expected ({}): one for each example", file.string(), fmt::join(array.shape, ", "), count);
  return npy_whole_numbers(array, low, high, file.string());
}

Examples read_arrays(const fs::path& folder, const std::string& part, Shape& input) {
  const fs::path file = folder / ("x_" + part + ".npy");
  const std::vector<std::byte> bytes = read(file);
  const Npy array = parse_npy(bytes, file.string());
  const bool whole = array.shape.size() >= 2 && array.shape.size() <= 4 && !array.data.empty();
  check(whole, Kind::malformed, "{}: shape ({}), expected (examples, features...) with one to three sizes of an example", file.string(),
        fmt::join(array.shape, ", "));
  Examples e;
  e.count = array.shape.front();
  input.assign(array.shape.begin() + 1, array.shape.end());
  e.values_each = element_count(input);
  e.values = npy_floats(array, file.string());
  e.labels = read_column(folder / ("y_" + part + ".npy"), e.count, 0, kLabelsMax - 1);
  return e;
}

Dataset load_arrays(const fs::path& folder) {
  Dataset d;
  Shape tested;
  d.train = read_arrays(folder, "train", d.input);
  d.test = read_arrays(folder, "test", tested);
  check(d.input == tested, Kind::malformed, "{}: examples of {}, those of x_train.npy are {}", (folder / "x_test.npy").string(), fmt::join(tested, " x "),
        fmt::join(d.input, " x "));
  if (const fs::path owners = folder / "owner_train.npy"; fs::exists(owners)) d.owners = read_column(owners, d.train.count, kAnyLow, kAnyHigh);
  return d;
}

void cut(Dataset& d, std::int64_t max) {
  if (max <= 0 || max >= d.train.count) return;
  d.train.count = max;
  d.train.values.resize(static_cast<std::size_t>(max * d.train.values_each));
  d.train.labels.resize(static_cast<std::size_t>(max));
  if (!d.owners.empty()) d.owners.resize(static_cast<std::size_t>(max));
}

}  // namespace

Dataset load_folder(const DatasetOptions& o) {
  check(!o.path.empty(), Kind::usage, "data set 'folder': path is not set; it names a folder with train.csv and test.csv, or x_train.npy, y_train.npy, x_test.npy "
                                      "and y_test.npy");
  const bool tables = fs::exists(o.path / "train.csv");
  check(tables || fs::exists(o.path / "x_train.npy"), Kind::missing, "{}: holds neither train.csv nor x_train.npy", o.path.string());
  Dataset d = tables ? load_tables(o.path) : load_arrays(o.path);
  std::int32_t highest = 0;
  for (const Examples* e : {&d.train, &d.test}) highest = std::max(highest, *std::max_element(e->labels.begin(), e->labels.end()));
  d.classes = highest + 1;
  cut(d, o.train_max);
  return d;
}

}  // namespace starling::core

// The sets that know whose an example is: their published sizes, their owners, and files that are not as they should be.
#include "core/data/owners.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <set>

#include "core/data/partition.h"
#include "tests/data.h"
#include "tests/said.h"

using namespace starling;
using namespace starling::core;
using tests::contains;
using tests::said;
using tests::TestFolder;

namespace {

DatasetOptions options(const std::string& name, const std::filesystem::path& folder, std::int64_t max = 0) {
  DatasetOptions o;
  o.name = name;
  o.folder = folder;
  o.train_max = max;
  return o;
}

/// The folder of all sets, if this set is there.
std::optional<std::filesystem::path> sets_with(const std::string& file) {
  const auto found = tests::data_file(file);
  if (!found) return std::nullopt;
  return found->parent_path().parent_path();
}

std::size_t clients(const Dataset& d) {
  PartitionOptions natural;
  natural.kind = "natural";
  natural.clients = 1;
  return partition(natural, static_cast<std::size_t>(d.train.count), d.train.labels, d.owners).size();
}

std::map<std::int32_t, std::int64_t> label_counts(const Examples& e) {
  std::map<std::int32_t, std::int64_t> counts;
  for (const std::int32_t label : e.labels) ++counts[label];
  return counts;
}

/// Mean and mean square of the values that belong to one run.
std::pair<double, double> moments(const Examples& e, std::int64_t run, std::int64_t which) {
  double sum = 0, squares = 0, count = 0;
  for (std::int64_t i = 0; i < e.count; ++i)
    for (std::int64_t k = which * run; k < (which + 1) * run; ++k) {
      const auto v = static_cast<double>(e.values[static_cast<std::size_t>(i * e.values_each + k)]);
      sum += v;
      squares += v * v;
      ++count;
    }
  return {sum / count, squares / count};
}

std::string letters(std::span<const std::int32_t> tokens) {
  constexpr std::string_view kLetters = "\n !\"$&'(),-.:;?[]0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz?";
  std::string text;
  for (const std::int32_t t : tokens) text += kLetters.at(static_cast<std::size_t>(t));
  return text;
}

}  // namespace

TEST_CASE("Shakespeare comes by speaker, eighty characters and the next one") {
  const auto folder = sets_with("tinyshakespeare/input.txt");
  if (!folder) return;
  const Dataset d = load_dataset(options("shakespeare", *folder));
  CHECK(d.input == Shape{80});
  CHECK(d.classes == 80);
  CHECK(d.train.count == 86812);  // counted by another program
  CHECK(d.test.count == 8705);
  CHECK(clients(d) == 141);
  // An example and the one ten characters later, where both are of one speaker, say the same.
  const auto first = std::span(d.test.tokens).first(80), second = std::span(d.test.tokens).subspan(80, 80);
  CHECK(letters(first.subspan(10)) == letters(second.first(70)));
  CHECK(letters(second.subspan(70, 1)) == letters(std::span(d.test.labels).first(1)));
  CHECK(*std::max_element(d.train.tokens.begin(), d.train.tokens.end()) < 79);
  const Dataset few = load_dataset(options("shakespeare", *folder, 2000));
  CHECK(few.train.count == 2000);
  CHECK(few.owners.size() == 2000);
  CHECK(clients(few) > 100);
  CHECK(std::equal(few.train.tokens.begin(), few.train.tokens.end(), d.train.tokens.begin()));
  DatasetOptions apart = options("shakespeare", *folder, 1);
  apart.stride = 1;
  CHECK(load_dataset(apart).test.count == 86435);
}

TEST_CASE("a text is cut by speaker, and no example sees both sides of the cut") {
  const TestFolder folder("shakespeare_test");
  std::string text;
  for (int i = 0; i < 300; ++i) text += "ANN:\nabcde" + std::to_string(i % 10) + ":\n\nBOB:\n~" + (i < 5 ? "\n\n" : "v\nwxyz\n\n");
  folder.write("tinyshakespeare/input.txt", text);
  const Dataset d = load_dataset(options("shakespeare", folder.path));
  CHECK(d.owners.size() == static_cast<std::size_t>(d.train.count));
  CHECK(std::set<std::int32_t>(d.owners.begin(), d.owners.end()) == std::set<std::int32_t>{0, 1});
  for (std::int64_t i = 0; i < d.train.count; ++i) {
    const std::string shown = letters(std::span(d.train.tokens).subspan(static_cast<std::size_t>(i) * 80, 80));
    CHECK((shown.find_first_of("abcde") != std::string::npos) == (d.owners[static_cast<std::size_t>(i)] == 0));
  }
  // 300 lines "abcdeN:" and an end of line are 2,400 characters, of which 2,160 train: 208 starts, and 16 in the last 240.
  CHECK(std::count(d.owners.begin(), d.owners.end(), 0) == 208);
  CHECK(*std::max_element(d.train.tokens.begin(), d.train.tokens.end()) == 79);  // of '~', which is in no vocabulary
  folder.write("tinyshakespeare/input.txt", "no name\n");
  CHECK(contains(said([&] { load_dataset(options("shakespeare", folder.path)); }, Kind::malformed), "input.txt: line 1 is 'no name'"));
  folder.write("tinyshakespeare/input.txt", "ANN:\nfew words\n");
  CHECK(contains(said([&] { load_dataset(options("shakespeare", folder.path)); }, Kind::malformed), "nobody speaks 1000 characters"));
}

TEST_CASE("WISDM has 36 users and six activities, standardised") {
  const auto folder = sets_with("wisdm-ar/WISDM_ar_v1.1_transformed.arff.gz");
  if (!folder) return;
  const Dataset d = load_dataset(options("wisdm", *folder));
  CHECK(d.train.count == 5418 - 1068);  // a fifth of every user's, rounded down
  CHECK(d.test.count == 1068);
  CHECK(d.input == Shape{43});
  CHECK(clients(d) == 36);
  auto counts = label_counts(d.train);
  for (const auto& [label, count] : label_counts(d.test)) counts[label] += count;
  CHECK(counts == std::map<std::int32_t, std::int64_t>{{0, 528}, {1, 1625}, {2, 306}, {3, 246}, {4, 632}, {5, 2081}});
  for (const std::int64_t feature : {0, 20, 35, 42}) {
    const auto [mean, square] = moments(d.train, 1, feature);
    CHECK(std::abs(mean) < 1e-4);
    if (feature != 35) CHECK(square == doctest::Approx(1).epsilon(1e-3));
    else CHECK(square < 1);  // of a feature with missing values, which count as the mean
  }
}

TEST_CASE("a row of WISDM that is not as it should be is named") {
  const TestFolder folder("wisdm_test");
  const std::string name = "wisdm-ar/WISDM_ar_v1.1_transformed.arff";
  std::string row = "1,33";
  for (int i = 0; i < 43; ++i) row += i == 7 ? ",?" : ",0.5";
  const auto message = [&](const std::string& text) {
    folder.write(name, text);
    return said([&] { load_dataset(options("wisdm", folder.path)); }, Kind::malformed);
  };
  std::string many = "@relation activity\n\n@data\n";
  for (int i = 0; i < 5; ++i) many += row + ",Walking\n";
  CHECK(message(many) == "");
  CHECK(contains(message(row + ",Walking\n" + row + ",Flying\n"), "line 2: the activity is 'Flying', expected one of Downstairs"));
  CHECK(contains(message(row + "\n"), "line 1: 45 fields, expected 46"));
  CHECK(contains(message("1,x" + row.substr(4) + ",Walking\n"), "'user' is 'x'"));
  CHECK(contains(message("1,33,a" + row.substr(8) + ",Walking\n"), "'feature 0' is 'a'"));
  CHECK(contains(message(""), "0 examples"));
}

TEST_CASE("the readings of older people make windows by trial") {
  const auto folder = sets_with("elderly-har/S1_Dataset.tar.gz");
  if (!folder) return;
  const Dataset d = load_dataset(options("elderly-har", *folder));
  CHECK(d.train.count + d.test.count == 3251);  // counted by another program, as the labels
  CHECK(d.test.count == 632);
  CHECK(d.input == Shape{9, 16});
  CHECK(clients(d) == 57);  // three trials have less than 16 readings
  auto counts = label_counts(d.train);
  for (const auto& [label, count] : label_counts(d.test)) counts[label] += count;
  CHECK(counts == std::map<std::int32_t, std::int64_t>{{0, 941}, {1, 275}, {2, 1931}, {3, 104}});
  const auto [mean, square] = moments(d.train, 16, 1);
  CHECK(std::abs(mean) < 1e-4);
  CHECK(square == doctest::Approx(1).epsilon(1e-3));
}

TEST_CASE("spoken digits become pictures by speaker") {
  const auto folder = sets_with("fsdd/recordings-3-speakers.tar.xz");
  if (!folder) return;
  const Dataset d = load_dataset(options("fsdd", *folder));
  CHECK(d.train.count == 1350);
  CHECK(d.test.count == 150);
  CHECK(d.input == Shape{1, 32, 32});
  CHECK(clients(d) == 3);
  for (const auto& [label, count] : label_counts(d.train)) CHECK(count == 135);
  for (const auto& [label, count] : label_counts(d.test)) CHECK(count == 15);
  // The most alike recording is of the same digit, mostly: the pictures are not noise.
  int right = 0;
  for (std::size_t i = 0; i < 150; ++i) {
    float nearest = std::numeric_limits<float>::max();
    std::int32_t digit = -1;
    for (std::size_t k = 0; k < 1350; ++k) {
      float distance = 0;
      for (std::size_t v = 0; v < 1024; ++v) {
        const float apart = d.test.values[i * 1024 + v] - d.train.values[k * 1024 + v];
        distance += apart * apart;
      }
      if (distance >= nearest) continue;
      nearest = distance;
      digit = d.train.labels[k];
    }
    right += digit == d.test.labels[i] ? 1 : 0;
  }
  MESSAGE("nearest recording: ", right, " of 150");
  CHECK(right > 100);
}

TEST_CASE("archives of trials and recordings name the entry that is wrong") {
  const TestFolder folder("owners_archive_test");
  const auto pack = [&](const std::string& archive, const std::string& entry, const std::string& bytes) {
    folder.write("in/" + entry, bytes);
    std::filesystem::create_directories((folder.path / archive).parent_path());
    const std::string command = "tar -C '" + (folder.path / "in").string() + "' -cf '" + (folder.path / archive).string() + "' '" + entry + "'";
    REQUIRE(std::system(command.c_str()) == 0);
  };
  const auto trial = [&](const std::string& entry, const std::string& bytes) {
    pack("elderly-har/S1_Dataset.tar", entry, bytes);
    return said([&] { load_dataset(options("elderly-har", folder.path)); }, Kind::malformed);
  };
  CHECK(contains(trial("README", "x"), "holds no trial"));
  CHECK(contains(trial("d1p01M", "0,1,1,1,1,1,1,1\n"), "S1_Dataset.tar: d1p01M: line 1: 8 fields"));
  CHECK(contains(trial("d1p01M", "0,1,1,1,5,1,1,1,1\n"), "'antenna' is '5'"));
  CHECK(contains(trial("d1p01M", "0,1,1,1,1,1,1,1,0\n"), "'label' is '0'"));
  CHECK(contains(trial("d1p01M", "0,1,1,1,1,1,1,1,1\n"), "0 examples"));
  const auto recording = [&](const std::string& entry, const std::string& bytes, Kind kind = Kind::malformed) {
    pack("fsdd/recordings-3-speakers.tar", entry, bytes);
    return said([&] { load_dataset(options("fsdd", folder.path)); }, kind);
  };
  CHECK(contains(recording("0-ann-1.wav", ""), "a recording is named '0-ann-1.wav', expected DIGIT_SPEAKER_INDEX.wav"));
  CHECK(contains(recording("0_ann_x.wav", ""), "a recording is named"));
  CHECK(contains(recording("0_ann_1.wav", "RIFF"), "0_ann_1.wav: RIFF size"));
  CHECK(contains(recording("README", ""), "0 examples"));
}

TEST_CASE("a scale is measured on training examples, without what is missing") {
  Dataset d;
  d.train = {3, 2, 0, 1, {1, 7, std::numeric_limits<float>::quiet_NaN(), 7, 3, 7}, {}, {0, 0, 0}};
  d.test = {1, 2, 0, 1, {5, 9}, {}, {0}};
  standardise(d, 1);
  CHECK(d.train.values == std::vector<float>{-1, 0, 0, 0, 1, 0});
  CHECK(d.test.values == std::vector<float>{3, 0});
}

TEST_CASE("one of five examples of every owner is for testing") {
  std::vector<std::int32_t> owners;
  for (int i = 0; i < 100; ++i) owners.push_back(i < 4 ? 1 : i < 33 ? 2 : 3);
  const std::vector<bool> testing = draw_tests(owners);
  std::map<std::int32_t, int> tests_of;
  for (std::size_t i = 0; i < owners.size(); ++i) tests_of[owners[i]] += testing[i] ? 1 : 0;
  CHECK(tests_of == std::map<std::int32_t, int>{{1, 0}, {2, 5}, {3, 13}});
  CHECK(draw_tests(owners) == testing);
}

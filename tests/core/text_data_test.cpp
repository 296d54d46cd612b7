// Texts as data: files become examples of bytes, and the dialects have words of their own.
#include <fstream>
#include <map>
#include <set>

#include <doctest/doctest.h>

#include "core/data/dataset.h"
#include "core/data/dialects.h"
#include "core/data/partition.h"
#include "core/error.h"
#include "core/text/byte_vocabulary.h"
#include "core/text/tokenizer.h"
#include "tests/core/small_model.h"

using namespace starling;
using namespace starling::core;

namespace {

void write(const std::filesystem::path& file, const std::string& text) { std::ofstream(file, std::ios::binary) << text; }

DatasetOptions text_of(const std::filesystem::path& folder, std::int64_t length) {
  DatasetOptions o;
  o.name = "text";
  o.path = folder;
  o.length = length;
  return o;
}

/// How often every word occurs, in lower case.
std::map<std::string, int> words_of(const std::string& text) {
  std::map<std::string, int> counts;
  std::string word;
  for (const char c : text + " ") {
    if (std::isalpha(static_cast<unsigned char>(c))) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!word.empty()) {
      ++counts[word];
      word.clear();
    }
  }
  return counts;
}

}  // namespace

TEST_CASE("every file is a client, its examples begin with BOS and end one character later, its end is for testing") {
  const tests::Folder folder;
  std::filesystem::create_directories(folder / "t");
  write(folder / "t/b.txt", "0123456789");  // five examples of two characters
  write(folder / "t/a.txt", "ab c\n");      // two, and a rest
  write(folder / "t/c.md", "not a text");
  const Dataset d = load_dataset(text_of(folder / "t", 2));
  CHECK(d.input == Shape{2});
  CHECK(d.classes == 260);
  CHECK(d.train.count == 1 + 4);
  CHECK(d.test.count == 1 + 1);
  CHECK(d.owners == std::vector<std::int32_t>{0, 1, 1, 1, 1});
  const TokenId a = byte_token('a'), b = byte_token('b');
  CHECK(std::vector(d.train.tokens.begin(), d.train.tokens.begin() + 2) == std::vector{kByteBos, a});
  CHECK(std::vector(d.train.labels.begin(), d.train.labels.begin() + 2) == std::vector{a, b});
  CHECK(d.test.labels == std::vector{byte_token(' '), byte_token('c'), byte_token('8'), byte_token('9')});
  PartitionOptions natural;
  natural.kind = "natural";
  natural.clients = 2;
  CHECK(partition(natural, 5, d.train.labels, d.owners).size() == 2);

  // Alone, a node reads the same.
  std::filesystem::create_directories(folder / "own");
  write(folder / "own/b.txt", "0123456789");
  const Dataset own = load_dataset(text_of(folder / "own", 2));
  CHECK(own.classes == d.classes);
  CHECK(own.train.tokens == std::vector(d.train.tokens.begin() + 2, d.train.tokens.end()));
}

TEST_CASE("texts that cannot be are refused by name") {
  const tests::Folder folder;
  std::filesystem::create_directories(folder / "t");
  CHECK_THROWS_WITH_AS(load_dataset(text_of(folder / "none", 2)), doctest::Contains("none: no such folder"), Error);
  CHECK_THROWS_WITH_AS(load_dataset(text_of(folder / "t", 2)), doctest::Contains("no .txt files"), Error);
  write(folder / "t/a.txt", "abc");
  CHECK_THROWS_WITH_AS(load_dataset(text_of(folder / "t", 2)), doctest::Contains("a.txt: 3 bytes, expected at least two examples of 2"), Error);
  CHECK_THROWS_WITH_AS(load_dataset(text_of(folder / "t", 0)), doctest::Contains("length = 0, expected 1 to"), Error);
}

TEST_CASE("the byte vocabulary encodes any text as the data set does, and back") {
  const auto tokenizer = make_tokenizer(byte_vocabulary());
  for (const std::string& text : {std::string("The  gullow\nsang."), std::string(" \xC3\xA4\xE2\x82\xAC \xFF\x01z"), dialect_text(1, 2000, 3)}) {
    std::vector<TokenId> expected{kByteBos};
    for (const char c : text) expected.push_back(byte_token(static_cast<unsigned char>(c)));
    CHECK(tokenizer->encode(text) == expected);
    CHECK(tokenizer->decode(std::span(expected).subspan(1)) == text);
  }
  CHECK(byte_vocabulary().pieces.size() == static_cast<std::size_t>(kByteVocabularySize));
}

TEST_CASE("every dialect has its own words in every text, and shares the others") {
  std::vector<std::map<std::string, int>> counts;
  std::set<std::string_view> own;
  for (std::size_t d = 0; d < kDialects; ++d) {
    counts.push_back(words_of(dialect_text(d, 200'000, 1)));
    CHECK(dialect_words(d).size() >= 20);
    own.insert(dialect_words(d).begin(), dialect_words(d).end());
  }
  CHECK(own.size() == 4 * dialect_words(0).size());
  for (std::size_t d = 0; d < kDialects; ++d)
    for (const std::string_view word : dialect_words(d))
      for (std::size_t other = 0; other < kDialects; ++other) {
        CAPTURE(word);
        // Birds, carts and pieces come in numbers: a word counts with its plural.
        const int found = counts[other][std::string(word)] + counts[other][std::string(word) + "s"];
        if (other == d)
          CHECK(found >= 50);
        else
          CHECK(found == 0);
      }
  int shared = 0;
  for (const auto& [word, count] : counts[0]) shared += count >= 50 && counts[1][word] >= 50 && counts[2][word] >= 50 && counts[3][word] >= 50;
  CHECK(shared >= 60);
}

TEST_CASE("a dialect's text is a function of its arguments") {
  const std::string text = dialect_text(2, 10'000, 5);
  CHECK(text.size() >= 10'000);
  CHECK(text.size() < 11'000);
  CHECK(text.ends_with(".\n"));
  CHECK(dialect_text(2, 10'000, 5) == text);
  CHECK(dialect_text(2, 5'000, 5) == text.substr(0, dialect_text(2, 5'000, 5).size()));
  CHECK(dialect_text(2, 10'000, 6) != text);
  CHECK(text.find('{') == std::string::npos);
}

// Texts of one's own: a folder with one .txt file for every client, in the order of their names. Tokens are bytes
// (text/byte_vocabulary.h), so that whoever sees one file alone has the vocabulary of all. An example begins with BOS,
// as a prompt does, and its labels are the `length` characters that follow; the last tenth of every file is for testing.
#include <algorithm>

#include "core/data/dataset.h"
#include "core/error.h"
#include "core/file.h"
#include "core/text/byte_vocabulary.h"

namespace starling::core {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kFileBytesMax = std::uint64_t{64} << 20, kAllBytesMax = std::uint64_t{256} << 20;
constexpr std::int64_t kLengthMax = 1 << 16;

std::vector<fs::path> text_files(const fs::path& folder) {
  check(fs::is_directory(folder), Kind::missing, "{}: no such folder; the data set 'text' is a folder with one .txt file for every client", folder.string());
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().extension() == ".txt") files.push_back(entry.path());
  check(!files.empty(), Kind::missing, "{}: no .txt files; the data set 'text' is a folder with one for every client", folder.string());
  std::sort(files.begin(), files.end());
  return files;
}

/// The example number `index` of a text.
void add_example(std::string_view text, std::size_t index, std::size_t length, Examples& to) {
  const std::string_view part = text.substr(index * length, length);
  to.tokens.push_back(kByteBos);
  for (std::size_t i = 0; i < length; ++i) {
    const TokenId token = byte_token(static_cast<unsigned char>(part[i]));
    to.labels.push_back(token);
    if (i + 1 < length) to.tokens.push_back(token);
  }
  ++to.count;
}

}  // namespace

Dataset load_text(const DatasetOptions& o) {
  check(o.length >= 1 && o.length <= kLengthMax, Kind::usage, "data set 'text': length = {}, expected 1 to {}", o.length, kLengthMax);
  const auto length = static_cast<std::size_t>(o.length);
  Dataset d;
  d.input = {o.length};
  d.classes = kByteVocabularySize;
  d.vocabulary = byte_vocabulary();
  d.train.tokens_each = d.train.labels_each = d.test.tokens_each = d.test.labels_each = o.length;
  std::uint64_t bytes = 0;
  std::int32_t owner = 0;
  for (const fs::path& file : text_files(o.path.empty() ? o.folder / o.name : o.path)) {
    const std::string text = read_text(file, kFileBytesMax);
    bytes += text.size();
    check(bytes <= kAllBytesMax, Kind::malformed, "{}: with it the texts have {} bytes, at most {} possible", file.string(), bytes, kAllBytesMax);
    const std::size_t count = text.size() / length;
    check(count >= 2, Kind::malformed, "{}: {} bytes, expected at least two examples of {}", file.string(), text.size(), length);
    const std::size_t for_test = std::max<std::size_t>(1, count / 10);
    for (std::size_t i = 0; i < count; ++i) {
      const bool train = i < count - for_test;
      if (train && o.train_max > 0 && d.train.count == o.train_max) continue;
      add_example(text, i, length, train ? d.train : d.test);
      if (train) d.owners.push_back(owner);
    }
    ++owner;
  }
  return d;
}

}  // namespace starling::core

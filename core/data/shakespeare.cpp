// Tiny Shakespeare (Karpathy 2015) by speaker, in the form of LEAF's Shakespeare (Caldas et al. 2018): an example is 80
// characters, its label the one that follows. A speaker is a name line, "NAME:" at the beginning of a paragraph; the
// paragraphs below it are joined in order, and speakers of less than 1,000 characters left out. Of each speaker's text the
// last tenth is for testing; no example reaches over the cut. LEAF begins an example at every character, which the stride
// allows; by default it is every tenth, as examples that overlap by 79 of 80 characters teach little more.
#include <map>
#include <string>

#include "core/data/archive.h"
#include "core/data/dataset.h"
#include "core/data/files.h"
#include "core/data/owners.h"
#include "core/data/rows.h"
#include "core/error.h"

namespace starling::core {
namespace {

constexpr std::size_t kLength = 80, kTextMin = 1000, kStride = 10;
/// Any other character is the last token: 80 in all, as in LEAF.
constexpr std::string_view kLetters = "\n !\"$&'(),-.:;?[]0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

std::map<std::string, std::string, std::less<>> by_speaker(std::string_view text, const std::string& source) {
  std::map<std::string, std::string, std::less<>> speakers;
  std::string* speech = nullptr;
  bool first = true;
  for (std::int64_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (first && line.size() > 1 && line.ends_with(':')) {
      speech = &speakers[std::string(line.substr(0, line.size() - 1))];
    } else if (!line.empty()) {
      check(speech != nullptr, Kind::malformed, "{}: line {} is {}, expected the name of a speaker and ':'", source, number, in_quotes(line));
      speech->append(line).push_back('\n');
    }
    first = line.empty();
  }
  std::erase_if(speakers, [](const auto& speaker) { return speaker.second.size() < kTextMin; });
  check(!speakers.empty(), Kind::malformed, "{}: nobody speaks {} characters", source, kTextMin);
  return speakers;
}

/// The examples of `text` that begin at one of `starts`.
Examples cut(const std::vector<std::int32_t>& text, std::span<const std::uint32_t> starts) {
  Examples e;
  e.count = static_cast<std::int64_t>(starts.size());
  e.tokens_each = kLength;
  e.tokens.reserve(starts.size() * kLength);
  for (const std::uint32_t start : starts) {
    const auto at = text.begin() + start;
    e.tokens.insert(e.tokens.end(), at, at + kLength);
    e.labels.push_back(at[kLength]);
  }
  return e;
}

}  // namespace

Dataset load_shakespeare(const DatasetOptions& o) {
  const auto file = find_data_file(o, "tinyshakespeare", "input.txt", "github.com/karpathy/char-rnn (data/tinyshakespeare)");
  const std::vector<std::byte> bytes = read_packed(file, std::uint64_t{64} << 20);
  const auto speakers = by_speaker({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file.string());
  check(o.stride >= 0, Kind::usage, "data set 'shakespeare': stride = {}, expected 0 or more", o.stride);
  const std::size_t stride = o.stride > 0 ? static_cast<std::size_t>(o.stride) : kStride;
  std::vector<std::int32_t> text;
  std::vector<std::uint32_t> train, test;
  std::vector<std::pair<std::size_t, std::int32_t>> ends;  // of each speaker's text
  for (const auto& [name, speech] : speakers) {
    const std::size_t begin = text.size(), middle = begin + speech.size() * 9 / 10;
    for (const char c : speech) text.push_back(static_cast<std::int32_t>(std::min(kLetters.find(c), kLetters.size())));
    for (std::size_t at = begin; at + kLength < middle; at += stride) train.push_back(static_cast<std::uint32_t>(at));
    for (std::size_t at = middle; at + kLength < text.size(); at += stride) test.push_back(static_cast<std::uint32_t>(at));
    ends.emplace_back(text.size(), static_cast<std::int32_t>(ends.size()));
  }
  shuffle_and_cut(train, o.train_max);
  Dataset d;
  d.input = {static_cast<std::int64_t>(kLength)};
  d.classes = static_cast<std::int64_t>(kLetters.size()) + 1;
  d.train = cut(text, train);
  d.test = cut(text, test);
  for (const std::uint32_t start : train)
    d.owners.push_back(std::upper_bound(ends.begin(), ends.end(), start, [](std::size_t at, const auto& end) { return at < end.first; })->second);
  return d;
}

}  // namespace starling::core

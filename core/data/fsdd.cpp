// Free Spoken Digit Dataset (Jackson et al.): digits spoken in 8 kHz recordings "DIGIT_SPEAKER_INDEX.wav", here as log-mel
// pictures of 32 bands and 32 frames (1.06 s; longer ones are cut). Recordings 0 to 4 of each digit and speaker are for
// testing, as the set's authors have it. Each band is standardised. An owner is a speaker.
#include <charconv>
#include <map>

#include "core/data/archive.h"
#include "core/data/dataset.h"
#include "core/data/files.h"
#include "core/data/log_mel.h"
#include "core/data/owners.h"
#include "core/data/rows.h"
#include "core/data/wav.h"
#include "core/error.h"

namespace starling::core {
namespace {

struct Recording {
  std::int32_t digit = 0;
  std::string speaker;
  std::int32_t index = 0;
  std::vector<float> picture;
};

Recording parse_name(const std::string& name, const std::string& source) {
  Recording r;
  const auto first = name.find('_'), last = name.rfind('_'), dot = name.rfind('.');
  bool good = first == 1 && last > first + 1 && dot > last && name[0] >= '0' && name[0] <= '9';
  if (good) {
    const auto [end, error] = std::from_chars(name.data() + last + 1, name.data() + dot, r.index);
    good = error == std::errc() && end == name.data() + dot && r.index >= 0;
  }
  check(good, Kind::malformed, "{}: a recording is named {}, expected DIGIT_SPEAKER_INDEX.wav", source, in_quotes(name));
  r.digit = name[0] - '0';
  r.speaker = name.substr(first + 1, last - first - 1);
  return r;
}

}  // namespace

Dataset load_fsdd(const DatasetOptions& o) {
  constexpr std::size_t kEntriesMax = 100'000;
  constexpr std::int32_t kTestRecordings = 5;
  const auto file = find_data_file(o, "fsdd", "recordings-3-speakers.tar", "github.com/Jakobovski/free-spoken-digit-dataset (recordings)");
  const LogMelOptions sound;
  const LogMel log_mel(sound);
  std::map<std::string, Recording> recordings;
  read_archive(file, kEntriesMax, kDataFileBytesMax, [&](const std::string& entry, Bytes bytes) {
    const std::string name = std::filesystem::path(entry).filename().string();
    if (!name.ends_with(".wav")) return;
    Recording r = parse_name(name, file.string());
    const Wav wav = parse_wav(bytes, file.string() + ": " + name);
    check(wav.rate == sound.rate, Kind::unsupported, "{}: {}: {} samples in a second, expected {}", file.string(), name, wav.rate, sound.rate);
    r.picture = log_mel(wav.samples);
    recordings[name] = std::move(r);
  });
  std::map<std::string, std::int32_t> speakers;
  for (const auto& [name, r] : recordings) speakers[r.speaker] = 0;
  std::int32_t number = 0;
  for (auto& [name, owner] : speakers) owner = number++;
  Examples all;
  all.count = static_cast<std::int64_t>(recordings.size());
  all.values_each = sound.bands * sound.frames;
  std::vector<std::int32_t> owners;
  std::vector<bool> testing;
  for (const auto& [name, r] : recordings) {
    all.values.insert(all.values.end(), r.picture.begin(), r.picture.end());
    all.labels.push_back(r.digit);
    owners.push_back(speakers.at(r.speaker));
    testing.push_back(r.index < kTestRecordings);
  }
  Dataset d;
  d.input = {1, sound.bands, sound.frames};
  d.classes = 10;
  deal(d, all, owners, testing, o.train_max);
  standardise(d, sound.frames);
  return d;
}

}  // namespace starling::core

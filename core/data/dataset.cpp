#include "core/data/dataset.h"

#include <array>
#include <cstdlib>

#include "core/error.h"

namespace starling::core {

#define DATASET(name, loader) Dataset loader(const DatasetOptions& options);
#include "core/data/all.def"
#undef DATASET

namespace {

struct Entry {
  std::string_view name;
  Dataset (*load)(const DatasetOptions&);
};

constexpr std::array kDatasets{
#define DATASET(name, loader) Entry{name, loader},
#include "core/data/all.def"
#undef DATASET
};

}  // namespace

std::filesystem::path data_folder() {
  if (const char* set = std::getenv("STARLING_DATA"); set && *set) return set;
  if (const char* home = std::getenv("XDG_DATA_HOME"); home && *home) return std::filesystem::path(home) / "starling";
  if (const char* home = std::getenv("HOME"); home && *home) return std::filesystem::path(home) / ".local/share/starling";
  fail(Kind::missing, "no folder of data sets: set STARLING_DATA");
}

void Examples::validate(const std::string& source) const {
  check(count > 0 && (values_each > 0) != (tokens_each > 0) && labels_each > 0, Kind::malformed, "{}: {} examples of {} values and {} tokens", source, count,
        values_each, tokens_each);
  const auto all = [&](std::int64_t each) { return static_cast<std::size_t>(count * each); };
  check(values.size() == all(values_each) && tokens.size() == all(tokens_each) && labels.size() == all(labels_each), Kind::malformed,
        "{}: {} values, {} tokens and {} labels for {} examples", source, values.size(), tokens.size(), labels.size(), count);
}

std::vector<std::string_view> dataset_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kDatasets) names.push_back(entry.name);
  return names;
}

Dataset load_dataset(const DatasetOptions& options) {
  for (const Entry& entry : kDatasets) {
    if (entry.name != options.name) continue;
    DatasetOptions found = options;
    if (found.folder.empty()) found.folder = data_folder();
    Dataset data = entry.load(found);
    data.name = options.name;
    data.train.validate(options.name + ", training");
    data.test.validate(options.name + ", test");
    return data;
  }
  fail(Kind::usage, "data set '{}' is unknown; known: {}", options.name, fmt::join(dataset_names(), " "));
}

}  // namespace starling::core

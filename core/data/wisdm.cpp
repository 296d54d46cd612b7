// WISDM activity recognition (Kwapisz, Weiss, Moore 2010), the transformed file: 43 features of ten seconds with a phone in
// the pocket, 36 users, six activities. Of each user's windows one of five is for testing. Features are standardised.
#include <array>
#include <limits>

#include "core/data/archive.h"
#include "core/data/dataset.h"
#include "core/data/files.h"
#include "core/data/owners.h"
#include "core/data/rows.h"
#include "core/error.h"

namespace starling::core {

Dataset load_wisdm(const DatasetOptions& o) {
  constexpr std::array<std::string_view, 6> kActivities{"Downstairs", "Jogging", "Sitting", "Standing", "Upstairs", "Walking"};
  constexpr std::size_t kUser = 1, kFirst = 2, kFeatures = 43, kActivity = kFirst + kFeatures;
  const auto file = find_data_file(o, "wisdm-ar", "WISDM_ar_v1.1_transformed.arff", "www.cis.fordham.edu/wisdm (activity prediction, v1.1)");
  const std::vector<std::byte> bytes = read_packed(file, kDataFileBytesMax);
  Rows rows({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file.string());
  Examples all;
  all.values_each = kFeatures;
  std::vector<std::int32_t> users;
  while (rows.next()) {
    const std::string_view first = rows.fields().front();
    if (first.starts_with('@') || first.starts_with('%')) continue;  // ARFF's head, where there is one
    rows.expect_fields(kActivity + 1);
    users.push_back(rows.whole(kUser, "user", 0, std::numeric_limits<std::int32_t>::max()));
    for (std::size_t i = kFirst; i < kActivity; ++i)
      all.values.push_back(rows.fields()[i] == "?" ? std::numeric_limits<float>::quiet_NaN() : rows.number(i, fmt::format("feature {}", i - kFirst)));
    const std::string_view activity = rows.fields()[kActivity];
    const auto known = std::find(kActivities.begin(), kActivities.end(), activity);
    if (known == kActivities.end()) rows.malformed("the activity is {}, expected one of {}", in_quotes(activity), fmt::join(kActivities, " "));
    all.labels.push_back(static_cast<std::int32_t>(known - kActivities.begin()));
    ++all.count;
  }
  Dataset d;
  d.input = {static_cast<std::int64_t>(kFeatures)};
  d.classes = static_cast<std::int64_t>(kActivities.size());
  deal(d, all, users, draw_tests(users), o.train_max);
  standardise(d, 1);
  return d;
}

}  // namespace starling::core

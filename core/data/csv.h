// A table of examples as text: a header that names the columns, then a row for every example. Quotes are not known.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace starling::core {

/// Labels lie below this in every file of the user's.
inline constexpr std::int32_t kLabelsMax = 65536;

struct LabelledTable {
  std::vector<std::string> columns;  // all but "label" and "owner"
  std::int64_t count = 0;
  std::vector<float> values;         // {count, columns}
  std::vector<std::int32_t> labels;
  std::vector<std::string> owners;   // empty without a column "owner"
};

/// The column "label" holds whole numbers from 0, "owner" (which may be left out) any text, the others finite numbers.
/// Kind::malformed naming source, line and column.
LabelledTable parse_labelled_table(std::string_view text, const std::string& source);

}  // namespace starling::core

#include "core/data/csv.h"

#include <algorithm>
#include <optional>

#include "core/data/rows.h"

namespace starling::core {

LabelledTable parse_labelled_table(std::string_view text, const std::string& source) {
  Rows rows(text, source);
  check(rows.next(), Kind::malformed, "{}: empty, expected a header that names the columns", source);
  LabelledTable table;
  const std::vector<std::string> names(rows.fields().begin(), rows.fields().end());
  std::optional<std::size_t> label, owner;
  std::vector<std::string_view> sorted(names.begin(), names.end());
  std::sort(sorted.begin(), sorted.end());
  if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end()) rows.malformed("two columns are named {}", in_quotes(*twice));
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == "label") label = i;
    else if (names[i] == "owner") owner = i;
    else table.columns.push_back(names[i]);
  }
  if (!label) rows.malformed("the header has no column 'label'");
  if (table.columns.empty()) rows.malformed("the header has no column beside 'label' and 'owner'");
  while (rows.next()) {
    rows.expect_fields(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (i == label) table.labels.push_back(rows.whole(i, names[i], 0, kLabelsMax - 1));
      else if (i == owner) table.owners.emplace_back(rows.fields()[i]);
      else table.values.push_back(rows.number(i, names[i]));
    }
    ++table.count;
  }
  check(table.count > 0, Kind::malformed, "{}: a header and no examples", source);
  return table;
}

}  // namespace starling::core

// Fuzz target: tables of examples as text.
// covers: core/data/csv.cpp core/data/rows.cpp
#include "core/data/csv.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace starling;
  tests::refuse_politely([&] {
    const core::LabelledTable table = core::parse_labelled_table({reinterpret_cast<const char*>(data), size}, "fuzz");
    const auto count = static_cast<std::size_t>(table.count);
    core::ensure(table.labels.size() == count && table.values.size() == count * table.columns.size(), "rows that differ in length");
    core::ensure(table.owners.empty() || table.owners.size() == count, "an owner too few or too many");
  });
  return 0;
}

// Fuzz target: files of simulated devices.
// covers: sim/profile_table.cpp sim/intervals.cpp
#include "sim/profile_table.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace starling;
  tests::refuse_politely([&] {
    const sim::ProfileTable table = sim::ProfileTable::parse({reinterpret_cast<const char*>(data), size}, "fuzz");
    for (std::size_t row = 0; row < table.size(); ++row) {
      core::ensure(table.ms_per_example(row) > 0 && table.down_bytes_per_s(row) > 0 && table.up_bytes_per_s(row) > 0, "a device that takes no time");
      core::ensure(table.failure(row) <= 1 && table.memory_mb(row) >= 0, "a device that fails more often than always");
      const sim::Intervals intervals = table.intervals(row);
      for (const double now : {0.0, 1.5, 1e6}) {
        const auto leaves = intervals.leaves(now), comes = intervals.comes(now);
        core::ensure(!leaves || *leaves >= now, "a stay that is over before now");
        core::ensure(!comes || *comes > now, "a stay that began before now");
        core::ensure(intervals.inside(now) || *leaves == now, "one who leaves without being there");
      }
    }
  });
  return 0;
}

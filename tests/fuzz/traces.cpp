// Fuzz target: recordings of links, processors and phones; the first byte chooses the reader.
// covers: sim/traces/read.cpp sim/traces/capacity.cpp
#include "sim/traces/read.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace starling;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto use = [](const sim::Capacity& capacity) {
    const sim::Time start = capacity.period() / 3, end = capacity.finish(start, 12'345.5);
    core::ensure(end >= start && capacity.finish(start, 0) == start, "bytes that come before they left");
  };
  tests::refuse_politely([&] {
    switch (data[0]) {
      case 'm': return use(sim::parse_mahimahi(text, "fuzz"));
      case 't': return use(sim::parse_throughput(text, "fuzz"));
      case 'p': return use(sim::parse_planetlab(text, "fuzz"));
      default: core::ensure(!sim::parse_phones(text, "fuzz").empty(), "no phones");
    }
  });
  return 0;
}

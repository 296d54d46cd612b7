// Fuzz target: IDX files of the MNIST family.
// covers: core/data/idx.cpp
#include "core/data/idx.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace starling;
  tests::refuse_politely([&] {
    const core::Idx idx = core::parse_idx(tests::input(data, size), "fuzz");
    core::ensure(core::element_count(idx.shape) == static_cast<std::int64_t>(idx.values.size()), "sizes that the values do not have");
  });
  return 0;
}

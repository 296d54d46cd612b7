// Fuzz target: NPY files, and their values as the data sets take them.
// covers: core/data/npy.cpp
#include "core/data/npy.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace starling;
  tests::refuse_politely([&] {
    const core::Npy array = core::parse_npy(tests::input(data, size), "fuzz");
    tests::refuse_politely([&] { core::npy_floats(array, "fuzz"); });
    core::npy_whole_numbers(array, 0, 9, "fuzz");
  });
  return 0;
}

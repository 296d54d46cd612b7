// Fuzz target: WAV files.
// covers: core/data/wav.cpp
#include "core/data/wav.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace starling;
  tests::refuse_politely([&] { core::parse_wav(tests::input(data, size), "fuzz"); });
  return 0;
}

// The legacy model file of llama2.c.
// covers: core/formats/llama2c.cpp
#include "core/formats/llama2c.h"
#include "tests/fuzz/target.h"

using namespace starling;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tests::refuse_politely([&] { core::decode_llama2c(tests::input(data, size), nullptr, "fuzz.bin"); });
  return 0;
}

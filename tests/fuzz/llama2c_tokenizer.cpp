// tokenizer.bin of llama2.c.
// covers: core/formats/llama2c_tokenizer.cpp
#include "core/formats/llama2c.h"
#include "tests/fuzz/target.h"

using namespace starling;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tests::refuse_politely([&] { core::decode_llama2c_tokenizer(tests::input(data, size), "tokenizer.bin"); });
  return 0;
}

// The index of a sharded checkpoint.
// covers: core/formats/hugging_face.cpp
#include "core/formats/hugging_face.h"
#include "tests/fuzz/target.h"

using namespace starling;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tests::refuse_politely([&] { core::decode_safetensors_index(tests::input(data, size), "model.safetensors.index.json"); });
  return 0;
}

// safetensors: the header, and every tensor that this build can hold.
// covers: core/formats/safetensors.cpp
#include "core/formats/safetensors.h"
#include "tests/fuzz/target.h"

using namespace starling;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const core::Bytes bytes = tests::input(data, size);
  tests::refuse_politely([&] {
    const core::Safetensors file = core::decode_safetensors(bytes, "fuzz.safetensors");
    for (const core::SafetensorsEntry& entry : file.tensors)
      tests::refuse_politely([&] { core::safetensors_tensor(entry, bytes, nullptr, "fuzz.safetensors"); });
  });
  return 0;
}

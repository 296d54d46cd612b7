// GGUF: the container, its vocabulary, its model.
// covers: core/formats/gguf.cpp core/formats/gguf_fields.cpp core/formats/gguf_llama.cpp core/formats/gguf_vocabulary.cpp core/formats/llama_tensors.cpp
#include "core/formats/gguf_llama.h"
#include "tests/fuzz/target.h"

using namespace starling;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const core::Bytes bytes = tests::input(data, size);
  tests::refuse_politely([&] {
    const core::Gguf file = core::decode_gguf(bytes, "fuzz.gguf");
    tests::refuse_politely([&] { core::gguf_vocabulary(file, "fuzz.gguf"); });
    tests::refuse_politely([&] { core::gguf_llama(file, bytes, nullptr, "fuzz.gguf"); });
  });
  return 0;
}

// tokenizer.json of Hugging Face tokenizers.
// covers: core/formats/pre_tokenizer_names.cpp core/formats/tokenizer_json.cpp
#include "core/formats/tokenizer_json.h"
#include "tests/fuzz/target.h"

using namespace starling;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tests::refuse_politely([&] { core::decode_tokenizer_json(tests::input(data, size), "tokenizer.json"); });
  return 0;
}

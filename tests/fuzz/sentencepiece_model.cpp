// tokenizer.model of SentencePiece.
// covers: core/formats/sentencepiece_model.cpp
#include "core/formats/sentencepiece_model.h"
#include "tests/fuzz/target.h"

using namespace starling;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tests::refuse_politely([&] { core::decode_sentencepiece_model(tests::input(data, size), "tokenizer.model"); });
  return 0;
}

// tokenizer_config.json, applied to a small vocabulary.
// covers: core/formats/tokenizer_json.cpp
#include "core/formats/tokenizer_json.h"
#include "tests/fuzz/target.h"

using namespace starling;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  core::Vocabulary vocabulary;
  vocabulary.pieces = {"<unk>", "<s>", "</s>", "a"};
  tests::refuse_politely(
      [&] { core::apply_tokenizer_config(tests::input(data, size), "tokenizer_config.json", vocabulary); });
  return 0;
}

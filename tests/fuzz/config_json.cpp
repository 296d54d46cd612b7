// config.json of a Hugging Face checkpoint.
// covers: core/formats/hugging_face.cpp core/formats/json_fields.cpp
#include "core/formats/hugging_face.h"
#include "tests/fuzz/target.h"

using namespace starling;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tests::refuse_politely([&] { core::decode_config_json(tests::input(data, size), "config.json"); });
  return 0;
}

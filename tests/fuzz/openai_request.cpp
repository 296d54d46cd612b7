// Fuzz target: bodies of the OpenAI API. The first byte says which endpoint reads the rest.
// covers: tools/serve/openai_request.cpp tools/serve/openai_generation.cpp tools/serve/json_fields.cpp
#include "tests/fuzz/target.h"
#include "tools/serve/openai_request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace starling;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  tests::refuse_politely([&] {
    if (data[0] == 'c') tools::decode_chat_request(body);
    else if (data[0] == 't') tools::decode_completion_request(body);
    else if (data[0] == 'x') tools::decode_cancel_request(body);
    else tools::decode_embedding_request(body);
  });
  return 0;
}

// Fuzz target: bytes of an HTTP connection. The first byte says in what pieces the rest arrives.
// covers: tools/serve/http_reader.cpp
#include "tests/fuzz/target.h"
#include "tools/serve/http_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace starling;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t piece = std::size_t{1} + data[0];
  tests::refuse_politely([&] {
    tools::RequestReader reader({1024, 4096});
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      reader.push(bytes.substr(at, piece));
      while (reader.parse()) {
        const tools::HttpRequest request = reader.take();
        if (request.body.size() > 4096) std::abort();
      }
      reader.wants_continue();
      if (reader.backlog() > 1024 + piece && !reader.begun()) std::abort();
    }
  });
  return 0;
}

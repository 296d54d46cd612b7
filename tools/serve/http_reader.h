// Requests out of bytes as they come from a connection: pure and bounded, so that it is fuzzed without sockets.
// The parser is Boost.Beast's; its cost in compile time stays in http_reader.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "tools/serve/http.h"

namespace starling::tools {

struct HttpLimits {
  std::uint32_t head_bytes = 16 << 10;
  std::uint64_t body_bytes = 8 << 20;
};

class RequestReader {
 public:
  explicit RequestReader(const HttpLimits& limits);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  /// Keeps `bytes` behind those that are kept already.
  void push(std::string_view bytes);
  /// Parses what is kept; true when a request is complete. ApiError with status 400, 413 or 431 when it can never be.
  bool parse();
  /// The complete request; the bytes behind it are those of the next one.
  HttpRequest take();

  /// Bytes that are kept and not parsed.
  std::size_t backlog() const;
  /// A byte of the present request has come.
  bool begun() const;
  /// Its head is complete, its body is not.
  bool in_body() const;
  /// The client waits for "100 Continue" before it sends the body; true once.
  bool wants_continue();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace starling::tools

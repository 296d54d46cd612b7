// An HTTP/1.1 server on one thread: keep-alive, chunked event streams, and a bound on everything that a client can
// make it hold: connections, bytes of a request, unread bytes of an answer, and time.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "tools/serve/http.h"
#include "tools/serve/http_reader.h"

namespace starling::tools {

struct HttpOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;  // 0: any free one
  HttpLimits limits;
  int connections = 1024;
  std::size_t unread_bytes = 1 << 20;  // of a stream that its client does not read
  std::chrono::milliseconds head_time{10'000};  // from a request's first byte to the end of its head
  std::chrono::milliseconds body_time{60'000};
  std::chrono::milliseconds idle_time{120'000};  // between requests
  std::chrono::milliseconds write_time{10'000};  // without a byte taken by the client
  std::chrono::milliseconds ping_time{15'000};   // between comments on a silent stream
  std::chrono::milliseconds stop_time{10'000};   // for answers under way when the server ends
};

/// "HOST:PORT", ":PORT" or "PORT"; IPv6 in brackets. Kind::usage naming `option`.
void parse_address(const std::string& text, const char* option, HttpOptions& options);

class HttpServer {
 public:
  /// Listens at once. Kind::unreachable when the address cannot be had.
  HttpServer(const HttpOptions& options, HttpHandler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// http://127.0.0.1:8080
  const std::string& url() const;
  /// Only this machine reaches it.
  bool loopback() const;
  /// Serves on the calling thread until stop(). Answers under way are finished within stop_time. `stopping` (may be
  /// empty) is called on this thread when the end begins.
  void run(std::function<void()> stopping = {});
  /// From any thread.
  void stop();
  /// From now on SIGINT and SIGTERM are stop(); a second one ends answers under way too. From any thread.
  void stop_on_signals();
  /// Runs `work` on the server's thread, from any thread.
  void post(std::function<void()> work);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace starling::tools

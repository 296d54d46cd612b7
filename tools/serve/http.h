// What an HTTP server hands to its handler and takes back, without sockets: requests, replies, and the exchange that
// one request is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace starling::tools {

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // decoded target without the query
  std::string query;
  std::string host, origin, authorization;  // headers of these names, empty: absent
  std::string body;
  bool keep_alive = true;
  bool chunks = true;  // the client reads chunked bodies: HTTP/1.1
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpReply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  HttpHeaders headers;  // beside Content-Type, Content-Length and Connection
};

/// One request being answered: reply() once, or stream() once, then events and end(). All may be called on any thread
/// and never wait; once the client is gone they do nothing.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual void reply(HttpReply reply) = 0;
  /// Begins a stream of server-sent events.
  virtual void stream() = 0;
  /// One event. The client is given up when it leaves more unread than the server's bound.
  virtual void event(std::string_view data) = 0;
  virtual void end() = 0;
  /// `gone` runs on the server's thread, once, if the client goes away, or is given up, before its answer is complete;
  /// at once if it has already.
  virtual void on_gone(std::function<void()> gone) = 0;
  /// Runs `work` on the server's thread, in the order of the calls.
  virtual void run(std::function<void()> work) = 0;
};

/// Called on the server's thread, which it must not hold up. An exception becomes an error reply.
using HttpHandler = std::function<void(HttpRequest, std::shared_ptr<Exchange>)>;

/// Status line, headers and, unless it is only asked for the head, body as they go over the wire; Connection says `keep_alive`.
std::string encode_reply(const HttpReply& reply, bool keep_alive, bool only_head = false);
/// The head of an event stream, in chunks or up to the end of the connection.
std::string encode_stream_head(bool keep_alive, bool chunks);
/// One chunk of a chunked body; the empty chunk ends it.
std::string encode_chunk(std::string_view data);

}  // namespace starling::tools

#include "tools/serve/http.h"

#include <fmt/format.h>

namespace starling::tools {
namespace {

const char* reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Payload Too Large";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    default: return "Other";
  }
}

const char* connection(bool keep_alive) { return keep_alive ? "keep-alive" : "close"; }

}  // namespace

std::string encode_reply(const HttpReply& reply, bool keep_alive, bool only_head) {
  std::string text = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: {}\r\n",
                                 reply.status, reason(reply.status), reply.content_type, reply.body.size(),
                                 connection(keep_alive));
  for (const auto& [name, value] : reply.headers) text += name + ": " + value + "\r\n";
  text += "\r\n";
  return only_head ? text : text + reply.body;
}

std::string encode_stream_head(bool keep_alive, bool chunks) {
  // nginx holds answers back unless it is told not to.
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\n{}Connection: {}\r\n\r\n",
                     chunks ? "Transfer-Encoding: chunked\r\n" : "", connection(keep_alive));
}

std::string encode_chunk(std::string_view data) { return fmt::format("{:x}\r\n{}\r\n", data.size(), data); }

}  // namespace starling::tools

#include "tools/serve/http_reader.h"

#include <optional>

#include "comm/asio.h"  // before Beast, which includes Asio

#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "tools/serve/api_error.h"

namespace starling::tools {
namespace {

namespace http = boost::beast::http;
using Parser = http::request_parser<http::string_body>;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// %41 as A; what is no such escape stays as it is.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

struct RequestReader::State {
  HttpLimits limits;
  std::string kept;
  std::optional<Parser> parser;
  bool begun = false;
  bool continued = false;

  void restart() {
    parser.emplace();
    parser->eager(true);
    parser->header_limit(limits.head_bytes);
    parser->body_limit(limits.body_bytes);
    begun = continued = false;
  }
  std::string header(http::field name) const {
    const auto value = parser->get()[name];
    return {value.data(), value.size()};
  }
};

RequestReader::RequestReader(const HttpLimits& limits) : state_(std::make_unique<State>()) {
  state_->limits = limits;
  state_->restart();
}

RequestReader::~RequestReader() = default;

void RequestReader::push(std::string_view bytes) { state_->kept.append(bytes); }

bool RequestReader::parse() {
  State& s = *state_;
  while (!s.parser->is_done() && !s.kept.empty()) {
    s.begun = true;
    boost::beast::error_code error;
    const std::size_t used = s.parser->put(boost::asio::buffer(s.kept), error);
    s.kept.erase(0, used);
    if (error == http::error::body_limit)
      throw ApiError(413, "invalid_request_error", fmt::format("the body is larger than {} bytes", s.limits.body_bytes));
    if (error == http::error::header_limit)
      throw ApiError(431, "invalid_request_error", fmt::format("the head is larger than {} bytes", s.limits.head_bytes));
    if (error && error != http::error::need_more)
      throw ApiError(400, "invalid_request_error", "no HTTP request: " + error.message());
    if (error) break;
  }
  return s.parser->is_done();
}

HttpRequest RequestReader::take() {
  State& s = *state_;
  const auto& message = s.parser->get();
  HttpRequest request;
  request.method = std::string(message.method_string());
  const std::string target(message.target());
  const std::size_t mark = target.find('?');
  request.path = unescape(target.substr(0, mark));
  if (mark != std::string::npos) request.query = target.substr(mark + 1);
  request.host = s.header(http::field::host);
  request.origin = s.header(http::field::origin);
  request.authorization = s.header(http::field::authorization);
  request.keep_alive = message.keep_alive();
  request.chunks = message.version() >= 11;
  request.body = std::move(s.parser->get().body());
  s.restart();
  return request;
}

std::size_t RequestReader::backlog() const { return state_->kept.size(); }
bool RequestReader::begun() const { return state_->begun; }
bool RequestReader::in_body() const { return state_->parser->is_header_done() && !state_->parser->is_done(); }

bool RequestReader::wants_continue() {
  if (!in_body() || state_->continued || state_->header(http::field::expect) != "100-continue") return false;
  return state_->continued = true;
}

}  // namespace starling::tools

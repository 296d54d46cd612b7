#include "tools/serve/api_error.h"

#include <nlohmann/json.hpp>

namespace starling::tools {
namespace {

using core::Kind;

Kind kind_of(int status) {
  if (status == 429) return Kind::overloaded;
  if (status == 503) return Kind::unreachable;
  return status >= 500 ? Kind::internal : Kind::usage;
}

nlohmann::json or_null(const std::string& text) { return text.empty() ? nlohmann::json() : nlohmann::json(text); }

}  // namespace

ApiError::ApiError(int status, std::string type, const std::string& message, std::string param, std::string code)
    : Error(kind_of(status), message),
      status_(status),
      type_(std::move(type)),
      param_(std::move(param)),
      code_(std::move(code)) {}

ApiError invalid(const std::string& param, const std::string& message, const std::string& code) {
  return ApiError(400, "invalid_request_error", message, param, code);
}

ApiError as_api_error(const std::exception& error) {
  if (const auto* api = dynamic_cast<const ApiError*>(&error)) return *api;
  const auto* ours = dynamic_cast<const core::Error*>(&error);
  switch (ours ? ours->kind() : Kind::internal) {
    case Kind::usage:
    case Kind::malformed:
    case Kind::unsupported: return ApiError(400, "invalid_request_error", error.what());
    case Kind::overloaded: return ApiError(429, "rate_limit_error", error.what());
    case Kind::unreachable:
    case Kind::timeout:
    case Kind::refused: return ApiError(503, "unavailable_error", error.what());
    default: return ApiError(500, "server_error", error.what());
  }
}

nlohmann::json to_json(const ApiError& error) {
  return {{"error",
           {{"message", error.what()},
            {"type", error.type()},
            {"param", or_null(error.param())},
            {"code", or_null(error.code())}}}};
}

HttpReply error_reply(const ApiError& error) {
  HttpReply reply;
  reply.status = error.status();
  reply.body = to_json(error).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (error.status() == 429) reply.headers.emplace_back("Retry-After", "1");
  if (error.status() == 503) reply.headers.emplace_back("Retry-After", "5");
  if (error.status() == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  return reply;
}

}  // namespace starling::tools

// An error as clients of the OpenAI API expect it: an HTTP status, a type, and perhaps the field that is wrong and a
// code that programs act on.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "core/error.h"
#include "tools/serve/http.h"

namespace starling::tools {

class ApiError : public core::Error {
 public:
  /// Empty `param` and `code` are null on the wire.
  ApiError(int status, std::string type, const std::string& message, std::string param = "", std::string code = "");

  int status() const { return status_; }
  const std::string& type() const { return type_; }
  const std::string& param() const { return param_; }
  const std::string& code() const { return code_; }

 private:
  int status_;
  std::string type_, param_, code_;
};

/// 400 invalid_request_error for the field `param`.
ApiError invalid(const std::string& param, const std::string& message, const std::string& code = "");

/// Any error as the API's: usage and malformed are the client's (400), overloaded is 429, a lost cluster 503, the
/// rest 500.
ApiError as_api_error(const std::exception& error);

/// {"error": {message, type, param, code}}
nlohmann::json to_json(const ApiError& error);
/// The same as a reply; 429 and 503 say when to try again.
HttpReply error_reply(const ApiError& error);

}  // namespace starling::tools

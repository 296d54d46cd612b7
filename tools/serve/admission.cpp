#include "tools/serve/admission.h"

#include <arpa/inet.h>

#include <string>

#include "tools/serve/api_error.h"

namespace starling::tools {
namespace {

/// "host" of "host:8080" and "[::1]:8080".
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

bool names_this_machine(std::string_view host) {
  const std::string_view name = without_port(host);
  if (name.empty() || name == "localhost" || name == "[::1]") return true;
  // An address, not a name that begins like one: a stranger's 127.example.org may be made to resolve to here.
  in_addr address;
  return ::inet_pton(AF_INET, std::string(name).c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

bool same_origin(const HttpRequest& request) {
  const std::size_t slashes = request.origin.find("://");
  return request.origin.empty() || (slashes != std::string::npos && request.origin.substr(slashes + 3) == request.host);
}

}  // namespace

bool equal_in_constant_time(std::string_view given, std::string_view secret) {
  if (secret.empty()) return given.empty();
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i)
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(secret[i % secret.size()]);
  return difference == 0;
}

void admit(const Admission& admission, const HttpRequest& request) {
  if (!admission.key.empty()) {
    static constexpr std::string_view kScheme = "Bearer ";
    const std::string_view given = request.authorization;
    if (given.starts_with(kScheme) && equal_in_constant_time(given.substr(kScheme.size()), admission.key)) return;
    throw ApiError(401, "authentication_error", given.empty() ? "this server asks for a key: Authorization: Bearer KEY" : "the key is wrong", "", "invalid_api_key");
  }
  if (admission.loopback && !names_this_machine(request.host))
    throw ApiError(403, "permission_error", fmt::format("this server answers to localhost only, not to '{}'; start it with --api-key to lift that", request.host.substr(0, 80)));
  if (!same_origin(request))
    throw ApiError(403, "permission_error", fmt::format("pages of {} may not use this server", request.origin.substr(0, 80)));
}

}  // namespace starling::tools

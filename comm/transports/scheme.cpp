#include "comm/transports/scheme.h"

#include <charconv>

namespace starling::comm {

#define SCHEME(name) extern const Scheme name##_scheme;
#include "comm/transports/all.def"
#undef SCHEME

std::string Address::text() const {
  if (host.find(':') != std::string::npos) return fmt::format("{}://[{}]:{}", scheme, host, port);
  return fmt::format("{}://{}:{}", scheme, host, port);
}

Address parse_address(std::string_view uri) {
  const auto bad = [&](std::string_view what) {
    core::fail(core::Kind::usage, "address '{}': {}; expected scheme://host:port", uri, what);
  };
  const std::size_t scheme_end = uri.find("://");
  if (scheme_end == std::string_view::npos) bad("no scheme");
  Address address;
  address.scheme = uri.substr(0, scheme_end);
  const std::string_view rest = uri.substr(scheme_end + 3);
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) bad("no port");
  std::string_view host = rest.substr(0, colon);
  const std::string_view port = rest.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    bad("an IPv6 host needs brackets");
  if (host.empty()) bad("no host");
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc() || end != port.data() + port.size()) bad("the port is no number up to 65535");
  address.host = host;
  return address;
}

const Scheme& scheme(std::string_view name) {
  static const Scheme* const all[] = {
#define SCHEME(name) &name##_scheme,
#include "comm/transports/all.def"
#undef SCHEME
  };
  std::string known;
  for (const Scheme* one : all) {
    if (one->name == name) return *one;
    known += fmt::format("{}{}://", known.empty() ? "" : ", ", one->name);
  }
  core::fail(core::Kind::usage, "unknown address scheme '{}://'; known: {}", name, known);
}

}  // namespace starling::comm

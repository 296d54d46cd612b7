#include "core/error.h"

namespace starling::core {

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::usage: return "usage";
    case Kind::malformed: return "malformed";
    case Kind::missing: return "missing";
    case Kind::refused: return "refused";
    case Kind::timeout: return "timeout";
    case Kind::unreachable: return "unreachable";
    case Kind::overloaded: return "overloaded";
    case Kind::unsupported: return "unsupported";
    case Kind::internal: return "internal";
  }
  return "unknown";
}

}  // namespace starling::core

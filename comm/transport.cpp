#include "comm/transport.h"

namespace starling::comm {

void receive(Transport& transport, Rank from, Kind kind, std::span<std::byte> into, Deadline deadline) {
  const Incoming incoming = transport.next(from, deadline);
  core::check(incoming.kind != Kind::goodbye || kind == Kind::goodbye, core::Kind::unreachable,
              "{}: has left the session; a {} frame was expected", transport.name(from), to_string(kind));
  core::check(incoming.kind == kind && incoming.length == into.size(), core::Kind::malformed,
              "{}: sent a {} frame of {} bytes where a {} frame of {} bytes was expected", transport.name(from),
              to_string(incoming.kind), incoming.length, to_string(kind), into.size());
  transport.read(from, into, deadline);
}

}  // namespace starling::comm

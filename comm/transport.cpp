#include "comm/transport.h"

#include "comm/control.h"

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

void abort_session(Transport& transport, const core::Error& why) noexcept {
  constexpr auto kPatience = std::chrono::milliseconds(100);
  try {
    const std::vector<std::byte> payload = encode_abort({why.kind(), why.what()});
    for (Rank peer = 0; peer < transport.size(); ++peer) {
      if (peer == transport.rank()) continue;
      try {
        transport.send(peer, Kind::abort, payload, after(kPatience));
      } catch (const core::Error&) {
        continue;  // gone, full or never linked: the silence limit tells it
      }
    }
  } catch (const std::exception&) {
    return;  // no memory for the message: closing the links says enough
  }
}

}  // namespace starling::comm

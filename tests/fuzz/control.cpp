// Fuzz target: the control messages of the wire, and the first frame of a stranger at a node's front door.
// covers: comm/control.cpp comm/transports/front_door.cpp
#include "comm/control.h"
#include "comm/job.h"
#include "comm/transports/front_door.h"
#include "tests/fuzz/input_pipe.h"
#include "tests/fuzz/target.h"

namespace {

using namespace starling;

constexpr std::uint8_t kBusy = 0x80;  // of the first byte: the node already serves a master

std::vector<std::byte> first_frame(core::Bytes payload, std::uint32_t from) {
  comm::Header header;
  header.kind = comm::Kind::hello;
  header.from = from;
  const auto head = comm::encode(header, payload);
  std::vector<std::byte> frame(comm::kHeaderBytes + payload.size());
  std::copy(head.begin(), head.end(), frame.begin());
  std::copy(payload.begin(), payload.end(), frame.begin() + comm::kHeaderBytes);
  return frame;
}

/// Handshakes go on step by step; what is left of them then has stopped sending.
void admit(comm::FrontDoor& door, core::Bytes input) {
  constexpr int kSteps = 20;
  if (!door.admit(std::make_unique<tests::InputPipe>(input, input.size()), "fuzz")) return;
  std::vector<comm::Interest> waiting;
  door.list_half_open(waiting);
  core::ensure(waiting.size() == 1 && door.next_expiry() && !door.full(), "one stranger at the door");
  for (int i = 0; i < kSteps; ++i) door.step();
}

void knock(core::Bytes input, bool busy) {
  comm::FrontDoor door({"fuzz", 1, 0, "", ""});
  if (busy) {
    admit(door, first_frame(comm::encode_hello({comm::Role::master, 0, 1, 3, {}}), 0));
    core::ensure(door.take_master().has_value(), "a good master is let in");
  }
  admit(door, input);
  if (const auto master = door.take_master()) core::ensure(!busy && master->hello.rank == 0, "one master, of rank 0");
  for (const comm::Rank rank : {0, 1, 2})
    if (const auto peer = door.take_peer(rank)) core::ensure(busy && peer->hello.rank == 2, "a peer above this node's rank");
  door.end();
  door.close();
  admit(door, input);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const core::Bytes input = tests::input(data + 1, size - 1);
  tests::refuse_politely([&] {
    switch (data[0] % 8) {
      case 0: comm::encode_hello(comm::decode_hello(input, "fuzz")); break;
      case 1: comm::encode_refuse(comm::decode_refuse(input, "fuzz")); break;
      case 2: comm::encode_abort(comm::decode_abort(input, "fuzz")); break;
      case 3: comm::encode_peers(comm::decode_peers(input, "fuzz")); break;
      case 4: comm::encode_linked(comm::decode_linked(input, "fuzz")); break;
      case 5: knock(input, (data[0] & kBusy) != 0); break;
      case 7: comm::encode_job(comm::decode_job(input, "fuzz")); break;
      default: knock(first_frame(input, 0), (data[0] & kBusy) != 0);  // with the right checksums
    }
  });
  return 0;
}

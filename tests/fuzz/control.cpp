// Fuzz target: the control messages of the wire, and the first frame of a stranger at a node's front door.
// covers: comm/control.cpp comm/transports/front_door.cpp
#include "comm/control.h"
#include "comm/job.h"
#include "comm/transports/front_door.h"
#include "tests/fuzz/input_pipe.h"
#include "tests/fuzz/target.h"

namespace {

using namespace starling;

void knock(core::Bytes input) {
  comm::FrontDoor door({"fuzz", 1, 0, "", ""});
  door.admit(std::make_unique<tests::InputPipe>(input, input.size()), "fuzz");
  door.step();
  if (auto master = door.take_master()) core::ensure(master->hello.rank == 0, "a master has rank 0");
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
      case 5: knock(input); break;
      case 7: comm::encode_job(comm::decode_job(input, "fuzz")); break;
      default: {  // a first frame whose checksums are right
        comm::Header header;
        header.kind = comm::Kind::hello;
        const auto bytes = comm::encode(header, input);
        std::vector<std::byte> frame(comm::kHeaderBytes + input.size());
        std::copy(bytes.begin(), bytes.end(), frame.begin());
        std::copy(input.begin(), input.end(), frame.begin() + comm::kHeaderBytes);
        knock(frame);
      }
    }
  });
  return 0;
}

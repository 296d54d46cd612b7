// Fuzz target: the wire header, and everything a link does with bytes from its peer.
// covers: comm/frame.cpp
#include <cstring>
#include <vector>

#include "comm/transports/link.h"
#include "tests/fuzz/input_pipe.h"
#include "tests/fuzz/target.h"

namespace {

using namespace starling;

void decode_header(core::Bytes input) {
  if (input.size() < comm::kHeaderBytes) return;
  std::array<std::byte, comm::kHeaderBytes> header;
  std::memcpy(header.data(), input.data(), header.size());
  for (int sealed = 0; sealed < 2; ++sealed) {
    tests::refuse_politely([&] { comm::decode(header, 1 << 20, "fuzz"); });
    comm::seal(header);  // second round: damage that the checksum does not hide
  }
}

/// Frames with the right checksums from the input: kind and length of each come from two bytes.
std::vector<std::byte> well_formed(core::Bytes input) {
  std::vector<std::byte> stream;
  std::uint64_t sequence = 0;
  constexpr std::uint64_t kFramesMax = 40;  // more teach nothing and take long
  while (input.size() >= 2 && sequence < kFramesMax) {
    comm::Header header;
    header.kind = static_cast<comm::Kind>(std::to_integer<unsigned>(input[0]) % 40);
    header.from = 1;
    header.sequence = sequence++;
    const core::Bytes payload = input.subspan(2, std::min<std::size_t>(std::to_integer<std::size_t>(input[1]), input.size() - 2));
    const auto bytes = comm::encode(header, payload);
    stream.insert(stream.end(), bytes.begin(), bytes.end());
    stream.insert(stream.end(), payload.begin(), payload.end());
    input = input.subspan(2 + payload.size());
  }
  return stream;
}

void read_link(core::Bytes input, bool taking_in) {
  comm::Limits limits;
  limits.frame_bytes_max = 1 << 16;
  limits.queue_bytes_max = 1 << 12;
  comm::Link link({0, 1, 0, 0, 0, 0}, "fuzz", std::make_unique<tests::InputPipe>(input, 100), limits);
  tests::refuse_politely([&] {
    for (;;) {  // every input ends, at the latest with the pipe
      if (taking_in) link.take_in();
      if (!link.poll()) continue;
      std::vector<std::byte> payload(link.front().length);
      while (!link.pull(payload)) continue;
    }
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const core::Bytes input = tests::input(data + 1, size - 1);
  decode_header(input);
  if ((data[0] & 1) != 0) {
    read_link(input, (data[0] & 2) != 0);
  } else {
    const std::vector<std::byte> stream = well_formed(input);
    read_link(stream, (data[0] & 2) != 0);
  }
  return 0;
}

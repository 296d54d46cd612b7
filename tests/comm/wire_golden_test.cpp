// The wire format, byte for byte: programs of different builds understand each other.
#include <array>

#include <doctest/doctest.h>

#include "comm/control.h"
#include "comm/frame.h"
#include "comm/job.h"
#include "tests/golden_files.h"

using namespace starling;
using tests::as_string;
using tests::tagged;

namespace {

std::string frame(comm::Kind kind, std::uint64_t sequence, const std::string& payload, std::uint32_t from = 1) {
  comm::Header header;
  header.kind = kind;
  header.from = from;
  header.sequence = sequence;
  return as_string(comm::encode(header, std::as_bytes(std::span(payload)))) + payload;
}

/// Damage, as at a byte of a stored frame.
std::string flipped(std::string bytes, std::size_t offset, char bits) {
  bytes.at(offset) = static_cast<char>(bytes[offset] ^ bits);
  return bytes;
}

tests::GoldenFiles frames() {
  // What a link of the fuzz target reads: 1 as it comes, 3 taken in while nobody reads.
  constexpr int kRead = 1, kTakenIn = 3;
  constexpr std::array<std::uint16_t, 12> kKinds{3, 6, 7, 16, 17, 18, 19, 20, 21, 32, 33, 34};
  tests::GoldenFiles files;
  std::string stream;
  std::uint64_t sequence = 0;
  for (const std::uint16_t kind : kKinds)
    stream += frame(static_cast<comm::Kind>(kind), sequence++, std::string(kind == 3 ? 0 : kind, '\7'));
  files["every_kind"] = tagged(kRead, stream);
  files["goodbye_taken_in"] = tagged(kTakenIn, stream + frame(comm::Kind::goodbye, sequence, ""));
  const std::string abort = as_string(comm::encode_abort({core::Kind::overloaded, "no memory"}));
  const std::string aborted = frame(comm::Kind::data, 0, std::string(3000, '\1')) + frame(comm::Kind::abort, 1, abort);
  files["aborted"] = tagged(kRead, aborted);
  files["aborted_taken_in"] = tagged(kTakenIn, aborted);
  files["more_than_the_queue"] = tagged(kTakenIn, frame(comm::Kind::data, 0, std::string(5000, '\1')));
  files["damaged_payload"] = tagged(kRead, flipped(frame(comm::Kind::data, 0, "0123456789"), 60, 1));
  const std::string empty = frame(comm::Kind::data, 0, "");
  files["damaged_header"] = tagged(kRead, flipped(empty, 20, 1));
  files["wrong_magic"] = tagged(kRead, flipped(empty, 0, 127));
  files["wrong_version"] = tagged(kRead, flipped(empty, 4, 127));
  files["wrong_kind"] = tagged(kRead, flipped(empty, 7, 127));
  files["wrong_length"] = tagged(kRead, flipped(empty, 39, 127));
  files["wrong_reserved"] = tagged(kRead, flipped(empty, 52, 127));
  files["replayed"] = tagged(kRead, frame(comm::Kind::data, 1, ""));
  files["well_formed"] = tagged(0, std::string("\x20\2\1\1\3\0", 6));
  return files;
}

tests::GoldenFiles controls() {
  const comm::NodeInfo node{"k\xc3\xbc" "che", 4, std::uint64_t{8} << 30, "avx2", "0.1.0"};
  const std::string hello = as_string(comm::encode_hello({comm::Role::master, 0, 1, 3, node}));
  const std::string peer = as_string(comm::encode_hello({comm::Role::peer, 2, 1, 3, node}));
  const std::string answer = as_string(comm::encode_hello({comm::Role::node, 1, 0, 3, node}));
  tests::GoldenFiles files;
  files["hello"] = tagged(0, hello);
  files["refuse"] = tagged(1, as_string(comm::encode_refuse("busy")));
  files["abort"] = tagged(2, as_string(comm::encode_abort({core::Kind::overloaded, "no memory"})));
  files["peers"] = tagged(3, as_string(comm::encode_peers({"tcp://10.0.0.1:7070", "tcp://[::1]:7071"})));
  files["linked"] = tagged(4, as_string(comm::encode_linked({{1, 4}, {"refused", "no answer"}})));
  files["first_frame"] = tagged(5, frame(comm::Kind::hello, 0, hello, 0));
  files["first_frame_of_a_peer"] = tagged(5, frame(comm::Kind::hello, 0, peer, 2));
  files["first_frame_of_a_node"] = tagged(5, frame(comm::Kind::hello, 0, answer, 1));
  files["first_frame_from_another"] = tagged(5, frame(comm::Kind::hello, 0, hello, 2));
  files["first_frame_replayed"] = tagged(5, frame(comm::Kind::hello, 5, hello, 0));
  files["first_frame_a_job"] = tagged(5, frame(comm::Kind::job, 0, hello, 0));
  files["first_frame_a_refusal"] = tagged(5, frame(comm::Kind::refuse, 0, as_string(comm::encode_refuse("no"))));
  files["first_frame_damaged"] = tagged(5, flipped(frame(comm::Kind::hello, 0, hello, 0), 70, 1));
  files["first_frame_cut"] = tagged(5, frame(comm::Kind::hello, 0, hello, 0).substr(0, 70));
  constexpr int kBusy = 0x80;  // the node already serves a master
  files["busy_peer"] = tagged(kBusy + 5, frame(comm::Kind::hello, 0, peer, 2));
  files["busy_master"] = tagged(kBusy + 5, frame(comm::Kind::hello, 0, hello, 0));
  files["busy_stray"] = tagged(kBusy + 5, frame(comm::Kind::hello, 0, as_string(comm::encode_hello({comm::Role::peer, 1, 2, 3, node})), 1));
  files["sealed_hello"] = tagged(6, hello);
  const std::byte settings[] = {std::byte{1}, std::byte{2}, std::byte{3}};
  files["job"] = tagged(7, as_string(comm::encode_job({"shard", {settings, settings + 3}})));
  files["cut_hello"] = tagged(0, hello.substr(0, 24));
  files["odd_hello"] = tagged(0, hello.substr(0, 23));
  files["empty"] = tagged(0, "");
  return files;
}

}  // namespace

TEST_CASE("frames have the bytes they had when the wire format was fixed") {
  CHECK(tests::differences("frame", frames()) == "");
}

TEST_CASE("control messages have the bytes they had when the wire format was fixed") {
  CHECK(tests::differences("control", controls()) == "");
}

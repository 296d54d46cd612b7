// The wire format, byte for byte: what the encoders write today equals what was kept in tests/fuzz/corpus when the
// format was fixed, so that programs of different builds understand each other. The same files seed the fuzzers.
// STARLING_WRITE_GOLDEN=1 writes them anew.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include <doctest/doctest.h>

#include "comm/control.h"
#include "comm/frame.h"

using namespace starling;

namespace {

using Bytes = std::vector<std::byte>;
using Files = std::map<std::string, Bytes>;

/// The first byte tells the fuzz target what the rest is.
Bytes tagged(unsigned tag, const Bytes& rest) {
  Bytes bytes{std::byte(tag)};
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  return bytes;
}

Bytes frame(comm::Kind kind, std::uint64_t sequence, const Bytes& payload, std::uint32_t from = 1) {
  comm::Header header;
  header.kind = kind;
  header.from = from;
  header.sequence = sequence;
  const auto head = comm::encode(header, payload);
  Bytes bytes(comm::kHeaderBytes + payload.size());
  std::copy(head.begin(), head.end(), bytes.begin());
  std::copy(payload.begin(), payload.end(), bytes.begin() + comm::kHeaderBytes);
  return bytes;
}

void append(Bytes& stream, const Bytes& more) { stream.insert(stream.end(), more.begin(), more.end()); }

Files frames() {
  Files files;
  Bytes stream;
  std::uint64_t sequence = 0;
  for (const std::uint16_t kind : {3, 6, 7, 16, 17, 18, 19, 20, 21, 32, 33, 34})
    append(stream, frame(static_cast<comm::Kind>(kind), sequence++, Bytes(kind == 3 ? 0 : kind, std::byte{7})));
  files["every_kind"] = tagged(1, stream);
  append(stream, frame(comm::Kind::goodbye, sequence, {}));
  files["goodbye_taken_in"] = tagged(3, stream);
  Bytes aborted = frame(comm::Kind::data, 0, Bytes(3000, std::byte{1}));
  append(aborted, frame(comm::Kind::abort, 1, comm::encode_abort({core::Kind::overloaded, "no memory"})));
  files["aborted"] = tagged(1, aborted);
  files["aborted_taken_in"] = tagged(3, aborted);
  files["more_than_the_queue"] = tagged(3, frame(comm::Kind::data, 0, Bytes(5000, std::byte{1})));
  Bytes damaged = frame(comm::Kind::data, 0, Bytes(10));
  damaged.back() ^= std::byte{1};
  files["damaged_payload"] = tagged(1, damaged);
  damaged = frame(comm::Kind::data, 0, {});
  damaged[20] ^= std::byte{1};
  files["damaged_header"] = tagged(1, damaged);
  for (const auto& [name, offset] : {std::pair{"magic", 0}, {"version", 4}, {"reserved", 52}, {"kind", 7}, {"length", 39}}) {
    Bytes wrong = frame(comm::Kind::data, 0, {});
    wrong[static_cast<std::size_t>(offset)] ^= std::byte{0x7f};
    files[std::string("wrong_") + name] = tagged(1, wrong);
  }
  files["replayed"] = tagged(1, frame(comm::Kind::data, 1, {}));
  files["well_formed"] = tagged(0, {std::byte{32}, std::byte{2}, std::byte{1}, std::byte{1}, std::byte{3}, std::byte{0}});
  return files;
}

Files controls() {
  const comm::NodeInfo node{"k\xc3\xbc" "che", 4, std::uint64_t{8} << 30, "avx2", "0.1.0"};
  const Bytes hello = comm::encode_hello({comm::Role::master, 0, 1, 3, node});
  const Bytes peer = comm::encode_hello({comm::Role::peer, 2, 1, 3, node});
  Files files;
  files["hello"] = tagged(0, hello);
  files["refuse"] = tagged(1, comm::encode_refuse("busy"));
  files["abort"] = tagged(2, comm::encode_abort({core::Kind::overloaded, "no memory"}));
  files["peers"] = tagged(3, comm::encode_peers({"tcp://10.0.0.1:7070", "tcp://[::1]:7071"}));
  files["linked"] = tagged(4, comm::encode_linked({{1, 4}, {"refused", "no answer"}}));
  files["first_frame"] = tagged(5, frame(comm::Kind::hello, 0, hello, 0));
  files["first_frame_of_a_peer"] = tagged(5, frame(comm::Kind::hello, 0, peer, 2));
  files["sealed_hello"] = tagged(6, hello);
  files["cut_hello"] = tagged(0, Bytes(hello.begin(), hello.begin() + 24));
  files["empty"] = tagged(0, {});
  return files;
}

std::filesystem::path corpus(const std::string& target) {
  return std::filesystem::path(STARLING_SOURCE_DIR) / "tests/fuzz/corpus" / target;
}

void compare_or_write(const std::string& target, const Files& files) {
  const bool write = std::getenv("STARLING_WRITE_GOLDEN") != nullptr;
  if (write) std::filesystem::create_directories(corpus(target));
  for (const auto& [name, bytes] : files) {
    CAPTURE(name);
    const std::filesystem::path path = corpus(target) / name;
    if (write) {
      std::ofstream out(path, std::ios::binary);
      out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
      continue;
    }
    std::ifstream in(path, std::ios::binary);
    REQUIRE(in.good());
    const std::string kept{std::istreambuf_iterator<char>(in), {}};
    CHECK(kept == std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
}

}  // namespace

TEST_CASE("frames have the bytes they had when the wire format was fixed") { compare_or_write("frame", frames()); }

TEST_CASE("control messages have the bytes they had when the wire format was fixed") {
  compare_or_write("control", controls());
}

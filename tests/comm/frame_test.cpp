// The wire header: every field survives, every damaged bit is found.
#include "comm/frame.h"

#include <cstring>
#include <vector>

#include <doctest/doctest.h>

#include "core/error.h"

using namespace starling;
using comm::Header;

namespace {

Header example() {
  Header header;
  header.kind = comm::Kind::reduce;
  header.session = 0x0123456789abcdefu;
  header.epoch = 7;
  header.from = 3;
  header.sequence = 99;
  return header;
}

std::string message_of(std::span<const std::byte, comm::kHeaderBytes> bytes, std::uint64_t length_max = 1 << 20) {
  try {
    comm::decode(bytes, length_max, "node-9");
  } catch (const core::Error& error) {
    CHECK(error.kind() == core::Kind::malformed);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a header has fixed bytes, so that programs of other builds can read it") {
  const std::vector<std::byte> payload(5, std::byte{0xaa});
  const auto bytes = comm::encode(example(), payload);
  const unsigned char expected[40] = {
      'S', 'L', 'G', '1', 1, 0, 33, 0, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 7, 0, 0, 0, 3, 0, 0, 0,
      99,  0,   0,   0,   0, 0, 0,  0, 5,    0,    0,    0,    0,    0,    0,    0};
  CHECK(std::memcmp(bytes.data(), expected, sizeof expected) == 0);
  const comm::Decoded decoded = comm::decode(bytes, 5, "node-9");
  Header header = example();
  header.length = 5;
  CHECK(decoded.header == header);
  CHECK(decoded.payload_checksum == comm::checksum(payload));
}

TEST_CASE("the checksum is XXH3 with seed 0") {
  CHECK(comm::checksum({}) == 0x2d06800538d394c2u);  // from the reference implementation's own test vectors
}

TEST_CASE("every flipped bit of a header is refused") {
  const std::vector<std::byte> payload(5);
  const auto good = comm::encode(example(), payload);
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    auto bytes = good;
    bytes[bit / 8] ^= std::byte(1u << (bit % 8));
    CHECK(!message_of(bytes).empty());
  }
}

TEST_CASE("a header that is refused names the peer, the field and the values") {
  const auto good = comm::encode(example(), {});
  auto bytes = good;
  bytes[0] = std::byte{'X'};
  CHECK(message_of(bytes).find("node-9: frame magic is 0x31474c58") == 0);
  bytes = good;
  bytes[4] = std::byte{2};
  CHECK(message_of(bytes) == "node-9: frame version is 2, this program speaks version 1");
  Header unknown = example();
  unknown.kind = static_cast<comm::Kind>(999);
  CHECK(message_of(comm::encode(unknown, {})) == "node-9: frame kind 999 is unknown");
  const std::vector<std::byte> payload(11);
  CHECK(message_of(comm::encode(example(), payload), 10) == "node-9: frame length 11 is above the limit of 10 bytes");
}

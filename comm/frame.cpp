// Encoding and checking of the wire header. Pure functions, fuzzed by tests/fuzz/frame.cpp.
#include "comm/frame.h"

#include <cstring>

#include <xxhash.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>  // the same function by the widest instructions of the CPU, twice as fast at 32 KB
#endif

namespace starling::comm {

namespace {

template <class T>
void put(std::span<std::byte, kHeaderBytes> bytes, std::size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

template <class T>
T get(std::span<const std::byte, kHeaderBytes> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

std::uint32_t header_checksum(std::span<const std::byte, kHeaderBytes> bytes) {
  return static_cast<std::uint32_t>(XXH3_64bits(bytes.data(), 48));
}

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::hello: return "hello";
    case Kind::refuse: return "refuse";
    case Kind::heartbeat: return "heartbeat";
    case Kind::abort: return "abort";
    case Kind::goodbye: return "goodbye";
    case Kind::peers: return "peers";
    case Kind::linked: return "linked";
    case Kind::job: return "job";
    case Kind::slice: return "slice";
    case Kind::ready: return "ready";
    case Kind::step: return "step";
    case Kind::report: return "report";
    case Kind::finish: return "finish";
    case Kind::task: return "task";
    case Kind::reply: return "reply";
    case Kind::verdict: return "verdict";
    case Kind::settle: return "settle";
    case Kind::settled: return "settled";
    case Kind::data: return "data";
    case Kind::reduce: return "reduce";
    case Kind::probe: return "probe";
  }
  return "unknown";
}

std::uint64_t checksum(core::Bytes payload) { return XXH3_64bits(payload.data(), payload.size()); }

std::array<std::byte, kHeaderBytes> encode(const Header& header, core::Bytes payload) {
  std::array<std::byte, kHeaderBytes> bytes{};
  const std::span<std::byte, kHeaderBytes> out(bytes);
  put(out, 0, kMagic);
  put(out, 4, kVersion);
  put(out, 6, static_cast<std::uint16_t>(header.kind));
  put(out, 8, header.session);
  put(out, 16, header.epoch);
  put(out, 20, header.from);
  put(out, 24, header.sequence);
  put(out, 32, static_cast<std::uint64_t>(payload.size()));
  put(out, 40, checksum(payload));
  seal(out);
  return bytes;
}

void seal(std::span<std::byte, kHeaderBytes> bytes) { put(bytes, 48, header_checksum(bytes)); }

Decoded decode(std::span<const std::byte, kHeaderBytes> bytes, std::uint64_t length_max, std::string_view peer) {
  using core::check;
  constexpr auto malformed = core::Kind::malformed;
  const auto magic = get<std::uint32_t>(bytes, 0);
  check(magic == kMagic, malformed, "{}: frame magic is {:#010x}, expected {:#010x}: not a Starling peer", peer, magic,
        kMagic);
  const auto version = get<std::uint16_t>(bytes, 4);
  check(version == kVersion, malformed, "{}: frame version is {}, this program speaks version {}", peer, version,
        kVersion);
  const auto expected = header_checksum(bytes);
  const auto found = get<std::uint32_t>(bytes, 48);
  check(found == expected, malformed, "{}: frame header checksum is {:#010x}, computed {:#010x}: damaged on the way",
        peer, found, expected);
  const auto reserved = get<std::uint32_t>(bytes, 52);
  check(reserved == 0, malformed, "{}: reserved bytes of the frame header are {:#010x}, not 0", peer, reserved);
  Decoded decoded;
  const auto kind = get<std::uint16_t>(bytes, 6);
  decoded.header.kind = static_cast<Kind>(kind);
  check(to_string(decoded.header.kind) != "unknown", malformed, "{}: frame kind {} is unknown", peer, kind);
  decoded.header.session = get<std::uint64_t>(bytes, 8);
  decoded.header.epoch = get<std::uint32_t>(bytes, 16);
  decoded.header.from = get<std::uint32_t>(bytes, 20);
  decoded.header.sequence = get<std::uint64_t>(bytes, 24);
  decoded.header.length = get<std::uint64_t>(bytes, 32);
  check(decoded.header.length <= length_max, malformed, "{}: frame length {} is above the limit of {} bytes", peer,
        decoded.header.length, length_max);
  decoded.payload_checksum = get<std::uint64_t>(bytes, 40);
  return decoded;
}

}  // namespace starling::comm

// The one wire framing: a fixed little-endian header of 56 bytes, then `length` bytes of payload. The header
// is read without any library; control payloads are Cap'n Proto (wire.capnp), data payloads raw numbers.
//
//   0 u32 magic "SLG1"   4 u16 version   6 u16 kind      8 u64 session   16 u32 epoch   20 u32 from (rank)
//  24 u64 sequence      32 u64 length   40 u64 payload checksum   48 u32 header checksum (bytes 0..47)   52 u32 0
//
// Checksums are XXH3: they find accidents, not attackers.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/bytes.h"

namespace starling::comm {

inline constexpr std::uint32_t kMagic = 0x31474c53;
inline constexpr std::uint16_t kVersion = 1;
inline constexpr std::size_t kHeaderBytes = 56;

/// What a frame is for. Values are part of the wire format: add, never renumber.
enum class Kind : std::uint16_t {
  hello = 1,      // control: the first frame of a connection, both ways
  refuse = 2,     // control: the answer to a hello that is not accepted
  heartbeat = 3,  // no payload: the sender lives
  abort = 4,      // control: the sender gives up the session and says why
  goodbye = 5,    // no payload: the session ends in good order
  peers = 6,      // control: rank 0 tells where the other ranks listen
  linked = 7,     // control: a rank reports which peers it could reach
  job = 16,       // control: what service to run, with its settings
  slice = 17,     // control: announces a tensor of the receiver's slice; data frames follow
  ready = 18,     // control: the receiver holds all it needs
  step = 19,      // data: position, rows and residual stream of one forward step
  report = 20,    // control: counters of a finished job
  finish = 21,    // no payload: rank 0 ends the job and asks for the report; the session goes on
  task = 22,      // control: a federated client's task; its model follows in data frames
  reply = 23,     // control: what became of a task; the client's model follows in data frames
  verdict = 24,   // control: whether the reply counted
  settle = 25,    // control: all verdicts so far shall survive the process
  settled = 26,   // no payload: they do
  data = 32,      // data: raw bytes of an announced tensor
  reduce = 33,    // data: a collective's payload
  probe = 34,     // data: measurements
};

std::string_view to_string(Kind kind);

struct Header {
  Kind kind = Kind::heartbeat;
  std::uint64_t session = 0;
  std::uint32_t epoch = 0;
  std::uint32_t from = 0;
  std::uint64_t sequence = 0;  // counts the frames of one direction of one link from 0
  std::uint64_t length = 0;    // bytes of payload

  friend bool operator==(const Header&, const Header&) = default;
};

/// The header's bytes for `payload`, checksums included; header.length is ignored, payload.size() counts.
std::array<std::byte, kHeaderBytes> encode(const Header& header, core::Bytes payload);

/// Writes the checksum of bytes 0..47 to where it belongs.
void seal(std::span<std::byte, kHeaderBytes> bytes);

struct Decoded {
  Header header;
  std::uint64_t payload_checksum = 0;
};

/// Kind::malformed naming `peer` and the field: magic, version (both named), header checksum, unknown kind,
/// length above `length_max`.
Decoded decode(std::span<const std::byte, kHeaderBytes> bytes, std::uint64_t length_max, std::string_view peer);

std::uint64_t checksum(core::Bytes payload);

}  // namespace starling::comm

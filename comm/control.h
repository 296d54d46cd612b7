// Control payloads: plain structs and their Cap'n Proto bytes (wire.capnp). Decoding is bounded, pure and
// fuzzed (tests/fuzz/control.cpp); Kind::malformed names the peer and the message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "comm/connect.h"
#include "core/bytes.h"

namespace starling::comm {

/// No message of this file is longer.
inline constexpr std::uint64_t kControlBytesMax = 64 << 10;
/// A hello is read from a stranger, so it must be short.
inline constexpr std::uint64_t kHelloBytesMax = 4 << 10;
/// Ranks of one group at most.
inline constexpr std::uint32_t kRanksMax = 1024;

enum class Role : std::uint8_t { master = 0, peer = 1, node = 2 };

struct Hello {
  Role role = Role::node;
  std::uint32_t rank = 0;       // the sender's
  std::uint32_t your_rank = 0;  // the receiver's in this session
  std::uint32_t size = 0;       // ranks of the session
  NodeInfo node;
};

struct Abort {
  core::Kind kind = core::Kind::internal;
  std::string reason;
};

struct Linked {
  std::vector<std::uint32_t> unreachable;
  std::vector<std::string> reasons;  // one for each
};

std::vector<std::byte> encode_hello(const Hello& hello);
Hello decode_hello(core::Bytes bytes, std::string_view peer);

std::vector<std::byte> encode_refuse(std::string_view reason);
std::string decode_refuse(core::Bytes bytes, std::string_view peer);

std::vector<std::byte> encode_abort(const Abort& abort);
Abort decode_abort(core::Bytes bytes, std::string_view peer);

/// Element i is the address of rank i + 1.
std::vector<std::byte> encode_peers(const std::vector<std::string>& addresses);
std::vector<std::string> decode_peers(core::Bytes bytes, std::string_view peer);

std::vector<std::byte> encode_linked(const Linked& linked);
Linked decode_linked(core::Bytes bytes, std::string_view peer);

}  // namespace starling::comm

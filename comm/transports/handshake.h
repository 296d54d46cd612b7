// The first frame of a connection, both ways: hello, or a refusal that says why. A stranger gets no more than
// a header and a short payload read, and no more than a fixed time.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "comm/control.h"
#include "comm/transports/pipe.h"

namespace starling::comm {

/// A connection whose hello never ends is closed after this.
inline constexpr auto kHandshakeMax = std::chrono::seconds(2);
/// How a refusal begins whose cause will pass; connect() tries such a node again for a moment.
inline constexpr std::string_view kBusy = "busy";

struct SessionId {
  std::uint64_t session = 0;
  std::uint32_t epoch = 0;

  friend bool operator==(const SessionId&, const SessionId&) = default;
};

std::vector<std::byte> hello_frame(const Hello& hello, const SessionId& id);
std::vector<std::byte> refuse_frame(std::string_view reason, const SessionId& id);

/// Takes one frame of a handshake from a pipe, not a byte more.
class HandshakeReader {
 public:
  explicit HandshakeReader(std::string peer) : peer_(std::move(peer)) {}
  /// True when the frame is whole. Kind::malformed for what is no hello or refusal, unreachable at the end.
  bool step(Pipe& pipe);
  const Header& header() const { return decoded_.header; }
  core::Bytes payload() const { return payload_; }
  SessionId id() const { return {decoded_.header.session, decoded_.header.epoch}; }
  /// The magic was right: worth an answer.
  bool is_starling() const;

 private:
  bool read(Pipe& pipe, std::span<std::byte> into, std::size_t begin);

  std::string peer_;
  std::array<std::byte, kHeaderBytes> header_{};
  std::vector<std::byte> payload_;
  Decoded decoded_;
  std::size_t taken_ = 0;  // bytes of header, then of payload
};

/// Sends `mine` and waits for the answer. Kind::refused with the reason, malformed, unreachable or timeout.
Hello greet(Pipe& pipe, Sleeper& sleeper, const std::string& peer, const Hello& mine, const SessionId& id,
            Deadline deadline);

/// Writes a short frame to a new pipe, which has room for it. False when the pipe is closed.
bool write_short(Pipe& pipe, core::Bytes frame);

}  // namespace starling::comm

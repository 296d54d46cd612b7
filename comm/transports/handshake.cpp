#include "comm/transports/handshake.h"

#include <algorithm>
#include <cstring>

namespace starling::comm {

namespace {

std::vector<std::byte> control_frame(Kind kind, core::Bytes payload, std::uint32_t from, const SessionId& id) {
  Header header;
  header.kind = kind;
  header.session = id.session;
  header.epoch = id.epoch;
  header.from = from;
  const auto bytes = encode(header, payload);
  std::vector<std::byte> frame(bytes.size() + payload.size());
  std::copy(bytes.begin(), bytes.end(), frame.begin());
  std::copy(payload.begin(), payload.end(), frame.begin() + kHeaderBytes);
  return frame;
}

}  // namespace

std::vector<std::byte> hello_frame(const Hello& hello, const SessionId& id) {
  return control_frame(Kind::hello, encode_hello(hello), hello.rank, id);
}

std::vector<std::byte> refuse_frame(std::string_view reason, const SessionId& id) {
  return control_frame(Kind::refuse, encode_refuse(reason), 0, id);
}

bool HandshakeReader::is_starling() const {
  std::uint32_t magic = 0;
  std::memcpy(&magic, header_.data(), sizeof magic);
  return magic == kMagic;
}

/// Fills into[taken_ - begin ..]; `begin` is how many bytes of the frame lie before `into`.
bool HandshakeReader::read(Pipe& pipe, std::span<std::byte> into, std::size_t begin) {
  while (taken_ < begin + into.size()) {
    const auto count = pipe.read(into.subspan(taken_ - begin));
    core::check(count.has_value(), core::Kind::unreachable, "{}: closed the connection during the handshake", peer_);
    if (*count == 0) return false;
    taken_ += *count;
  }
  return true;
}

bool HandshakeReader::step(Pipe& pipe) {
  if (taken_ < kHeaderBytes) {
    if (!read(pipe, header_, 0)) return false;
    decoded_ = decode(header_, kHelloBytesMax, peer_);
    const Header& header = decoded_.header;
    core::check(header.kind == Kind::hello || header.kind == Kind::refuse, core::Kind::malformed,
                "{}: the first frame is of kind {}, expected hello", peer_, to_string(header.kind));
    core::check(header.sequence == 0, core::Kind::malformed, "{}: the first frame has sequence {}", peer_,
                header.sequence);
    payload_.resize(header.length);
  }
  if (!read(pipe, payload_, kHeaderBytes)) return false;
  core::check(checksum(payload_) == decoded_.payload_checksum, core::Kind::malformed,
              "{}: payload checksum of the first frame does not match", peer_);
  return true;
}

bool write_short(Pipe& pipe, core::Bytes frame) {
  const auto count = pipe.write(frame, {});
  return count && *count == frame.size();
}

Hello greet(Pipe& pipe, Sleeper& sleeper, const std::string& peer, const Hello& mine, const SessionId& id,
            Deadline deadline) {
  core::check(write_short(pipe, hello_frame(mine, id)), core::Kind::unreachable,
              "{}: closed the connection during the handshake", peer);
  HandshakeReader answer(peer);
  const Interest interest[] = {{&pipe, true, false}};
  while (!answer.step(pipe)) {
    core::check(Clock::now() < deadline, core::Kind::timeout, "{}: no answer to the hello", peer);
    sleeper.sleep(interest, deadline);
  }
  if (answer.header().kind == Kind::refuse)
    core::fail(core::Kind::refused, "{}: refused: {}", peer, decode_refuse(answer.payload(), peer));
  core::check(answer.id() == id, core::Kind::malformed, "{}: answered for session {:#x} epoch {}, expected {:#x} {}",
              peer, answer.id().session, answer.id().epoch, id.session, id.epoch);
  const Hello theirs = decode_hello(answer.payload(), peer);
  core::check(theirs.rank == mine.your_rank && theirs.your_rank == mine.rank && theirs.size == mine.size &&
                  answer.header().from == theirs.rank && theirs.role == Role::node,
              core::Kind::malformed, "{}: answered as rank {} of {} to rank {}, expected rank {} of {} to rank {}",
              peer, theirs.rank, theirs.size, theirs.your_rank, mine.your_rank, mine.size, mine.rank);
  return theirs;
}

}  // namespace starling::comm

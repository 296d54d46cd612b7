#include "comm/transports/link.h"

#include <algorithm>
#include <cstring>

#include <sched.h>

#include "comm/control.h"

namespace starling::comm {

namespace {

// One read takes a small message whole, header and payload, and often the next header too.
constexpr std::size_t kBufferBytes = 128 << 10;
constexpr std::uint64_t kReadBytesMax = 4 << 20;
// What a stored frame costs beside its payload, so that many empty frames meet the bound as well.
constexpr std::uint64_t kStoredOverheadBytes = 128;

}  // namespace

Link::Link(const LinkIdentity& identity, std::string name, std::unique_ptr<Pipe> pipe, const Limits& limits)
    : identity_(identity), name_(std::move(name)), pipe_(std::move(pipe)), limits_(limits), buffer_(kBufferBytes) {}

Counters Link::counters() const {
  return {bytes_sent_.load(std::memory_order_relaxed), bytes_received_, frames_sent_.load(std::memory_order_relaxed),
          frames_received_};
}

void Link::fail(core::Kind kind, const std::string& what) {
  if (!failure_) failure_.emplace(kind, name_ + ": " + what);
}

void Link::acquire_sending() {
  while (!try_acquire_sending()) sched_yield();  // a heartbeat holds it for one write that does not wait
}

void Link::start_frame(Kind kind, core::Bytes payload) {
  const std::size_t left = head_end_ - head_begin_;
  core::ensure(left < kHeaderBytes && body_.empty(), "a frame was started inside another one");
  std::memmove(head_.data(), head_.data() + head_begin_, left);
  Header header;
  header.kind = kind;
  header.session = identity_.session;
  header.epoch = identity_.epoch;
  header.from = static_cast<std::uint32_t>(identity_.self);
  header.sequence = identity_.next_sent++;
  const auto bytes = encode(header, payload);
  std::memcpy(head_.data() + left, bytes.data(), bytes.size());
  head_begin_ = 0;
  head_end_ = left + kHeaderBytes;
  body_ = payload;
  frame_begun_ = false;
  bytes_sent_.fetch_add(kHeaderBytes + payload.size(), std::memory_order_relaxed);
  frames_sent_.fetch_add(1, std::memory_order_relaxed);
  if (kind == Kind::goodbye || kind == Kind::abort) ended_ = true;
}

std::size_t Link::push() {
  const core::Bytes head(head_.data() + head_begin_, head_end_ - head_begin_);
  const std::optional<std::size_t> taken = pipe_->write(head, body_);
  if (!taken) {
    take_in();  // the peer may have said why before it closed
    fail(core::Kind::unreachable, "closed the connection");
    return 0;
  }
  const std::size_t from_head = std::min(*taken, head.size());
  head_begin_ += from_head;
  body_ = body_.subspan(*taken - from_head);
  if (head_end_ - head_begin_ < kHeaderBytes) frame_begun_ = true;
  return *taken;
}

void Link::abandon_frame(const core::Error& why) {
  if (frame_begun_) {
    if (!failure_) failure_.emplace(why.kind(), std::string(why.what()) + " (a frame was cut short)");
  } else {
    bytes_sent_.fetch_sub(kHeaderBytes + body_.size(), std::memory_order_relaxed);
    frames_sent_.fetch_sub(1, std::memory_order_relaxed);
    head_end_ -= kHeaderBytes;
    --identity_.next_sent;
  }
  body_ = {};
}

void Link::heartbeat() {
  if (!body_.empty() || ended_) return;
  if (head_begin_ == head_end_) start_frame(Kind::heartbeat, {});
  const auto taken = pipe_->write(core::Bytes(head_.data() + head_begin_, head_end_ - head_begin_), {});
  if (taken && *taken > 0) {
    head_begin_ += *taken;
  } else if (head_end_ - head_begin_ == kHeaderBytes) {  // not a byte went: as if it had never been
    head_begin_ = head_end_;
    --identity_.next_sent;
    bytes_sent_.fetch_sub(kHeaderBytes, std::memory_order_relaxed);
    frames_sent_.fetch_sub(1, std::memory_order_relaxed);
  }
}

std::size_t Link::read_pipe(std::span<std::byte> into) {
  if (closed_) return 0;
  const std::optional<std::size_t> count = pipe_->read(into);
  if (!count) {
    closed_ = true;
    return 0;
  }
  if (*count > 0) last_heard_ = Clock::now();
  return *count;
}

bool Link::fill() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (begin_ > 0 && end_ > buffer_.size() / 2) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, buffered());
    end_ -= begin_;
    begin_ = 0;
  }
  const std::size_t count = read_pipe(std::span(buffer_).subspan(end_));
  end_ += count;
  return count > 0;
}

void Link::check_header(const Header& header) const {
  const auto check_field = [&](const char* field, std::uint64_t found, std::uint64_t expected) {
    core::check(found == expected, core::Kind::malformed, "{}: {} of a {} frame is {}, expected {}", name_, field,
                to_string(header.kind), found, expected);
  };
  check_field("session", header.session, identity_.session);
  check_field("epoch", header.epoch, identity_.epoch);
  check_field("sender's rank", header.from, static_cast<std::uint64_t>(identity_.peer));
  check_field("sequence", header.sequence, identity_.next_received);
}

/// Throws what the abort frame at begin_ says; returns when it is not whole yet.
void Link::receive_abort(const Decoded& frame) {
  core::check(frame.header.length <= kControlBytesMax, core::Kind::malformed, "{}: an abort of {} bytes, limit {}",
              name_, frame.header.length, kControlBytesMax);
  if (buffered() < kHeaderBytes + frame.header.length) return;
  const core::Bytes payload(buffer_.data() + begin_ + kHeaderBytes, frame.header.length);
  core::check(checksum(payload) == frame.payload_checksum, core::Kind::malformed,
              "{}: payload checksum of an abort does not match", name_);
  const Abort abort = decode_abort(payload, name_);
  throw core::Error(abort.kind, name_ + ": " + abort.reason);
}

/// Decodes frames in buffer_ up to the first one for the caller; what is wrong becomes the link's failure.
void Link::parse() {
  if (wire_ || failure_ || partial_) return;
  try {
    while (buffered() >= kHeaderBytes) {
      const std::span<const std::byte, kHeaderBytes> bytes(buffer_.data() + begin_, kHeaderBytes);
      const Decoded decoded = decode(bytes, limits_.frame_bytes_max, name_);
      check_header(decoded.header);
      const Kind kind = decoded.header.kind;
      if (kind == Kind::abort) {
        receive_abort(decoded);
        break;
      }
      core::check((kind != Kind::heartbeat && kind != Kind::goodbye) || decoded.header.length == 0,
                  core::Kind::malformed, "{}: a {} frame has {} bytes of payload", name_, to_string(kind),
                  decoded.header.length);
      if (kind == Kind::goodbye) goodbye_ = true;
      begin_ += kHeaderBytes;
      if (kind != Kind::heartbeat) wire_ = decoded;
      ++identity_.next_received;
      ++frames_received_;
      bytes_received_ += kHeaderBytes + decoded.header.length;
      if (wire_) return;
    }
  } catch (const core::Error& error) {
    failure_ = error;
    return;
  }
  if (closed_) fail(core::Kind::unreachable, goodbye_ ? "has left the session" : "closed the connection");
}

bool Link::poll() {
  if (!stash_.empty() || wire_ || failure_) return true;
  parse();
  if (!wire_ && !failure_) {
    fill();
    parse();
  }
  return wire_ || failure_;
}

const Header& Link::front() {
  if (!stash_.empty()) return stash_.front().frame.header;
  if (wire_) return wire_->header;
  core::ensure(failure_.has_value(), "front() of a link without a frame");
  throw core::Error(*failure_);
}

/// Fills destination[filled, size) from the buffer, then from the pipe; true when full. Takes a bounded amount at
/// a time, so that heartbeats go out while a long frame comes in.
bool Link::read_into(std::byte* destination, std::uint64_t size, std::uint64_t& filled) {
  const std::uint64_t ready = std::min<std::uint64_t>(buffered(), size - filled);
  if (ready > 0) std::memcpy(destination + filled, buffer_.data() + begin_, ready);
  begin_ += ready;
  filled += ready;
  const std::uint64_t stop = std::min(size, filled + kReadBytesMax);
  while (filled < stop) {
    const std::size_t count = read_pipe({destination + filled, stop - filled});
    if (closed_) fail(core::Kind::unreachable, "closed the connection in the middle of a frame");
    if (count == 0) return false;
    filled += count;
  }
  return filled == size;
}

bool Link::verify(const Decoded& frame, const std::byte* payload) {
  const std::uint64_t found = checksum({payload, frame.header.length});
  if (found != frame.payload_checksum)
    fail(core::Kind::malformed,
         fmt::format("payload checksum of a {} frame of {} bytes is {:#018x}, expected {:#018x}: damaged on the way",
                     to_string(frame.header.kind), frame.header.length, found, frame.payload_checksum));
  return found == frame.payload_checksum;
}

bool Link::pull(std::span<std::byte> into) {
  if (!stash_.empty()) {
    if (stash_.size() == 1 && partial_ && !complete_partial()) {
      if (failure_) throw core::Error(*failure_);
      return false;
    }
    Stored& stored = stash_.front();
    if (!into.empty()) std::memcpy(into.data(), stored.payload.get(), into.size());
    stash_bytes_ -= stored.frame.header.length + kStoredOverheadBytes;
    stash_.pop_front();
    blocked_ = false;
    return true;
  }
  core::ensure(wire_.has_value(), "pull() of a link without a frame");
  if (!read_into(into.data(), into.size(), pulled_)) {
    if (failure_) throw core::Error(*failure_);
    return false;
  }
  const Decoded frame = *wire_;
  wire_.reset();
  pulled_ = 0;
  blocked_ = false;
  if (!verify(frame, into.data())) throw core::Error(*failure_);
  return true;
}

void Link::store_wire_frame() {
  const std::uint64_t length = wire_->header.length;
  // Not zeroed: memory that the peer announces but never fills costs address space only.
  stash_.push_back({*wire_, std::unique_ptr<std::byte[]>(new std::byte[length]), 0});
  stash_bytes_ += length + kStoredOverheadBytes;
  wire_.reset();
  partial_ = true;
}

bool Link::complete_partial() {
  Stored& stored = stash_.back();
  if (!read_into(stored.payload.get(), stored.frame.header.length, stored.filled)) return false;
  partial_ = false;
  if (verify(stored.frame, stored.payload.get())) return true;
  stash_bytes_ -= stored.frame.header.length + kStoredOverheadBytes;
  stash_.pop_back();
  return false;
}

void Link::take_in() {
  blocked_ = false;
  while (!failure_) {
    if (partial_) {
      if (!complete_partial()) return;
    } else if (wire_) {
      const std::uint64_t length = wire_->header.length;
      const bool fits = stash_.empty() ? length <= limits_.queue_bytes_max
                                       : stash_bytes_ + length + kStoredOverheadBytes <= limits_.queue_bytes_max;
      blocked_ = !fits || pulled_ > 0;
      if (blocked_) return;
      store_wire_frame();
    } else {
      parse();
      if (wire_ || failure_) continue;
      if (!fill()) {
        parse();  // the pipe may have closed: that is a failure once everything before it is known
        return;
      }
    }
  }
}

}  // namespace starling::comm

// One peer as the owner of a transport sees it: frames over a Pipe, with all checks of what arrives and the
// bounded queue of what was taken in early. It never waits; PipedTransport (piped.h) does.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/transports/pipe.h"

namespace starling::comm {

/// What every frame of a link must carry.
struct LinkIdentity {
  Rank self = 0;
  Rank peer = 0;
  std::uint64_t session = 0;
  std::uint32_t epoch = 0;
  std::uint64_t next_sent = 0;  // sequence of the next frame each way: a handshake has used some
  std::uint64_t next_received = 0;
};

class Link {
 public:
  Link(const LinkIdentity& identity, std::string name, std::unique_ptr<Pipe> pipe, const Limits& limits);
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  const std::string& name() const { return name_; }
  Pipe& pipe() { return *pipe_; }
  Counters counters() const;
  void decorate(const std::function<std::unique_ptr<Pipe>(std::unique_ptr<Pipe>)>& wrap) {
    pipe_ = wrap(std::move(pipe_));
  }

  // Sending: between acquire and release only. The owner waits for the lock, heartbeats only try.
  bool try_acquire_sending() { return !sending_.exchange(true, std::memory_order_acquire); }
  void acquire_sending();
  void release_sending() { sending_.store(false, std::memory_order_release); }
  void start_frame(Kind kind, core::Bytes payload);
  /// Gives the pipe what it takes; returns how many bytes that was. A closed pipe becomes the link's failure.
  std::size_t push();
  bool frame_sent() const { return head_begin_ == head_end_ && body_.empty(); }
  /// After a wait that ended too early: takes the frame back if no byte of it went, else the link has failed.
  void abandon_frame(const core::Error& why);
  /// A heartbeat if the pipe takes one; a part of it that stays behind goes out before the next frame.
  void heartbeat();

  // Receiving: the owner only.
  /// Takes what the pipe holds as far as needed to know the next frame. True when next() need not wait: a
  /// frame is there, or the link failed.
  bool poll();
  /// Header of the next frame, once poll() is true. Throws the link's failure.
  const Header& front();
  /// Moves payload of the front frame into `into`; true when it is complete and verified. Throws the failure.
  bool pull(std::span<std::byte> into);
  /// Takes in frames nobody has asked for yet, within the bound, to let the peer go on and to reach what is
  /// behind them: heartbeats, an abort, the end.
  void take_in();

  bool failed() const { return failure_.has_value(); }
  const core::Error& failure() const { return *failure_; }
  void fail(core::Kind kind, const std::string& what);
  /// The bound of the queue keeps take_in() from reading on.
  bool blocked() const { return blocked_; }
  /// The peer said goodbye before it closed: no failure for those who wait for others.
  bool left() const { return goodbye_ && closed_; }
  /// Whether more may come from the pipe.
  bool listening() const { return !failure_ && !closed_ && !blocked_; }
  Clock::time_point last_heard() const { return last_heard_; }
  /// This side sent a goodbye or an abort: nothing more follows.
  bool ended() const { return ended_; }

  std::uint64_t served = 0;  // when wait_any() last chose this link

 private:
  struct Stored {
    Decoded frame;
    std::unique_ptr<std::byte[]> payload;
    std::uint64_t filled = 0;
  };

  std::size_t buffered() const { return end_ - begin_; }
  bool fill();
  void parse();
  void receive_abort(const Decoded& frame);
  void check_header(const Header& header) const;
  bool read_into(std::byte* destination, std::uint64_t size, std::uint64_t& filled);
  std::size_t read_pipe(std::span<std::byte> into);
  void store_wire_frame();
  bool complete_partial();
  bool verify(const Decoded& frame, const std::byte* payload);

  LinkIdentity identity_;
  std::string name_;
  std::unique_ptr<Pipe> pipe_;
  Limits limits_;

  std::atomic<bool> sending_{false};
  std::array<std::byte, 2 * kHeaderBytes> head_{};  // the rest of a heartbeat, then a header
  std::size_t head_begin_ = 0, head_end_ = 0;
  core::Bytes body_;
  bool frame_begun_ = false;
  bool ended_ = false;

  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0, end_ = 0;
  std::optional<Decoded> wire_;  // its payload begins in buffer_ and goes on in the pipe
  std::uint64_t pulled_ = 0;     // bytes of it that the caller already has
  std::deque<Stored> stash_;     // frames before wire_; the last may be incomplete
  std::uint64_t stash_bytes_ = 0;
  bool partial_ = false;  // stash_.back() is incomplete: the pipe goes on with its payload
  bool closed_ = false, goodbye_ = false, blocked_ = false;
  std::optional<core::Error> failure_;
  Clock::time_point last_heard_ = Clock::now();

  std::atomic<std::uint64_t> bytes_sent_{0}, frames_sent_{0};
  std::uint64_t bytes_received_ = 0, frames_received_ = 0;
};

}  // namespace starling::comm

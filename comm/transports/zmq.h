// zmq+tcp://host:port. One ZeroMQ connection per pair of ranks: a ROUTER at each front door, a DEALER per dialled
// address. The stream of frames travels in messages of bounded size; the receiver gives credit for more, so that
// a slow reader stops one sender and not the whole ROUTER.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <zmq.hpp>

#include "comm/transports/scheme.h"

namespace starling::comm {

/// Payload of one message at most; a longer message from outside is refused by ZeroMQ before allocation.
inline constexpr std::size_t kZmqChunkBytes = 64 << 10;
/// Messages on their way to one peer at most, of kZmqChunkBytes each.
inline constexpr std::uint64_t kZmqWindow = 256;

/// ZeroMQ sockets are not thread-safe: one lock goes over all of a medium. A sleeping thread holds it too, and a
/// heartbeat must not wait until that thread has slept enough: whoever finds the lock taken rings, and the sleeper,
/// which polls wake_fd() beside its sockets, gives way.
class ZmqMutex {
 public:
  ZmqMutex();
  ~ZmqMutex();
  ZmqMutex(const ZmqMutex&) = delete;
  ZmqMutex& operator=(const ZmqMutex&) = delete;

  void lock();
  void unlock() { mutex_.unlock(); }
  /// Readable when another thread waits for the lock.
  int wake_fd() const { return wake_; }
  /// Not under the lock: returns when those who rang have had it.
  void give_way();

 private:
  std::mutex mutex_;
  std::atomic<int> waiting_{0};
  int wake_;
};

/// What all sockets of one medium share.
struct ZmqShared {
  zmq::context_t context{1};
  ZmqMutex mutex;
  int monitors = 0;  // names their inproc addresses
};

/// A socket with the monitor that tells when its connections come and go.
class ZmqSocket {
 public:
  ZmqSocket(ZmqShared& shared, zmq::socket_type type, int events);
  ~ZmqSocket();
  ZmqSocket(const ZmqSocket&) = delete;
  ZmqSocket& operator=(const ZmqSocket&) = delete;

  zmq::socket_t& socket() { return socket_; }
  /// Calls on_event(event, value) for every event that waits.
  template <class OnEvent>
  void drain_events(OnEvent on_event) {
    zmq::message_t event, address;
    while (receive(monitor_, event)) {
      receive(monitor_, address);
      std::uint16_t number = 0;
      std::uint32_t value = 0;
      std::memcpy(&number, event.data(), sizeof number);
      std::memcpy(&value, static_cast<const char*>(event.data()) + sizeof number, sizeof value);
      on_event(static_cast<int>(number), static_cast<int>(value));
    }
  }
  void add_to(std::vector<zmq::pollitem_t>& items);

  /// Without waiting; false when there is nothing.
  static bool receive(zmq::socket_t& from, zmq::message_t& message);

 private:
  zmq::socket_t socket_, monitor_;
};

/// One peer's stream inside messages, both ways. Under ZmqShared::mutex.
class ZmqChannel {
 public:
  void accept(zmq::message_t message);
  std::size_t read(std::span<std::byte> into);
  bool has_input() const { return !inbox_.empty(); }
  bool may_send() const { return sent_ - acknowledged_ < kZmqWindow; }
  void count_sent() { ++sent_; }
  /// A credit message when it is time for one.
  bool credit_due() const { return consumed_ - reported_ >= kZmqWindow / 4; }
  zmq::message_t credit();
  bool closed = false;

 private:
  std::deque<zmq::message_t> inbox_;
  std::size_t offset_ = 1;  // in the front message, behind its type
  std::uint64_t consumed_ = 0, reported_ = 0;
  std::uint64_t sent_ = 0, acknowledged_ = 0;
};

/// What DEALER and ROUTER pipes have in common.
class ZmqPipe : public Pipe {
 public:
  explicit ZmqPipe(std::shared_ptr<ZmqShared> shared) : shared_(std::move(shared)) {}
  std::optional<std::size_t> write(core::Bytes head, core::Bytes body) override;
  std::optional<std::size_t> read(std::span<std::byte> into) override;

  ZmqChannel& channel() { return channel_; }
  virtual ZmqSocket& socket() = 0;

 protected:
  /// Both under the lock. transmit() is false when ZeroMQ takes nothing at the moment.
  virtual bool transmit(zmq::message_t message) = 0;
  virtual void pump() = 0;
  /// Tells the peer that this end closes.
  void say_closed();

  std::shared_ptr<ZmqShared> shared_;
  ZmqChannel channel_;
};

/// The ROUTER of a front door. It lives as long as a pipe or its entrance does.
class ZmqRouter : public std::enable_shared_from_this<ZmqRouter> {
 public:
  ZmqRouter(std::shared_ptr<ZmqShared> shared, const Address& address, std::shared_ptr<FrontDoor> door);

  const Address& address() const { return address_; }
  ZmqSocket& socket() { return socket_; }
  ZmqShared& shared() { return *shared_; }
  FrontDoor& door() { return *door_; }
  /// Brings what arrived to the channels of its senders. Under the lock.
  void pump();
  /// Goes on with the handshakes of newcomers. Not under the lock.
  void step_door();

 private:
  class RouterPipe;
  void welcome(const std::string& identity, zmq::message_t first);
  void forget_connection(int fd);

  std::shared_ptr<ZmqShared> shared_;
  std::shared_ptr<FrontDoor> door_;
  Address address_;
  ZmqSocket socket_;
  std::map<std::string, RouterPipe*, std::less<>> pipes_;
  std::vector<std::pair<std::unique_ptr<Pipe>, std::string>> newcomers_;  // not yet handed to the door
};

}  // namespace starling::comm

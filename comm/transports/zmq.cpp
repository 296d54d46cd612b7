#include "comm/transports/zmq.h"

#include <algorithm>
#include <cstring>

#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace starling::comm {

namespace {

enum class MessageType : std::uint8_t { data = 0, credit = 1, closed = 2 };

/// Our last words leave within this after a socket is closed.
constexpr int kLingerMs = 300;
constexpr int kMonitored = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_CONNECT_RETRIED |
                           ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                           ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

zmq::message_t typed(MessageType type, std::size_t payload) {
  zmq::message_t message(1 + payload);
  *static_cast<std::uint8_t*>(message.data()) = static_cast<std::uint8_t>(type);
  return message;
}

/// Copies the first bytes of head and body together behind the message's type, and drops them from both.
void fill(zmq::message_t& message, core::Bytes& head, core::Bytes& body) {
  auto* out = static_cast<std::byte*>(message.data()) + 1;
  const std::size_t room = message.size() - 1;
  const std::size_t from_head = std::min(room, head.size());
  if (from_head > 0) std::memcpy(out, head.data(), from_head);
  head = head.subspan(from_head);
  if (room > from_head) std::memcpy(out + from_head, body.data(), room - from_head);
  body = body.subspan(room - from_head);
}

long milliseconds_until(Deadline until) {
  const auto left = std::clamp<Clock::duration>(until - Clock::now(), Clock::duration::zero(), std::chrono::minutes(1));
  return std::chrono::ceil<std::chrono::milliseconds>(left).count();
}

/// Under the lock of `shared`; ends early when another thread wants it.
void poll(const ZmqShared& shared, std::vector<zmq::pollitem_t>& items, Deadline until) {
  items.push_back({nullptr, shared.mutex.wake_fd(), ZMQ_POLLIN, 0});
  zmq_poll(items.data(), static_cast<int>(items.size()), milliseconds_until(until));  // early ends do no harm
}

}  // namespace

ZmqMutex::ZmqMutex() : wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  core::check(wake_ >= 0, core::Kind::overloaded, "ZeroMQ: {}", core::last_error);
}

ZmqMutex::~ZmqMutex() { ::close(wake_); }

void ZmqMutex::lock() {
  if (mutex_.try_lock()) return;
  ++waiting_;
  ::eventfd_write(wake_, 1);
  mutex_.lock();
  --waiting_;
}

void ZmqMutex::give_way() {
  eventfd_t rings = 0;
  ::eventfd_read(wake_, &rings);
  while (waiting_ > 0) sched_yield();
}

ZmqSocket::ZmqSocket(ZmqShared& shared, zmq::socket_type type, int events)
    : socket_(shared.context, type), monitor_(shared.context, zmq::socket_type::pair) {
  socket_.set(zmq::sockopt::linger, kLingerMs);
  socket_.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(kZmqChunkBytes + 1));
  // Above the window, credits and the close included, so that the window is what stops a sender.
  socket_.set(zmq::sockopt::sndhwm, static_cast<int>(2 * kZmqWindow));
  socket_.set(zmq::sockopt::rcvhwm, static_cast<int>(2 * kZmqWindow));
  socket_.set(zmq::sockopt::reconnect_ivl, -1);
  socket_.set(zmq::sockopt::ipv6, true);
  socket_.set(zmq::sockopt::handshake_ivl,
              static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(kHandshakeMax).count()));
  const std::string address = fmt::format("inproc://monitor-{}", shared.monitors++);
  zmq_socket_monitor(socket_.handle(), address.c_str(), events);
  monitor_.set(zmq::sockopt::linger, 0);
  monitor_.connect(address);
}

ZmqSocket::~ZmqSocket() { zmq_socket_monitor(socket_.handle(), nullptr, 0); }

void ZmqSocket::add_to(std::vector<zmq::pollitem_t>& items) {
  for (zmq::socket_t* one : {&socket_, &monitor_}) {
    const auto known = std::any_of(items.begin(), items.end(),
                                   [&](const zmq::pollitem_t& item) { return item.socket == one->handle(); });
    if (!known) items.push_back({one->handle(), 0, ZMQ_POLLIN, 0});
  }
}

bool ZmqSocket::receive(zmq::socket_t& from, zmq::message_t& message) {
  return zmq_msg_recv(message.handle(), from.handle(), ZMQ_DONTWAIT) >= 0;
}

void ZmqChannel::accept(zmq::message_t message) {
  const auto type = message.size() > 0 ? *static_cast<const std::uint8_t*>(message.data()) : std::uint8_t{255};
  if (type == static_cast<std::uint8_t>(MessageType::credit) && message.size() == 9) {
    std::uint64_t total = 0;
    std::memcpy(&total, static_cast<const std::byte*>(message.data()) + 1, sizeof total);
    if (total > acknowledged_ && total <= sent_) acknowledged_ = total;
  } else if (type == static_cast<std::uint8_t>(MessageType::data) && message.size() > 1 && inbox_.size() < kZmqWindow) {
    inbox_.push_back(std::move(message));
  } else {
    closed = true;  // it said so, or it breaks the rules
  }
}

std::size_t ZmqChannel::read(std::span<std::byte> into) {
  std::size_t count = 0;
  while (count < into.size() && !inbox_.empty()) {
    const zmq::message_t& front = inbox_.front();
    const std::size_t n = std::min(into.size() - count, front.size() - offset_);
    std::memcpy(into.data() + count, static_cast<const std::byte*>(front.data()) + offset_, n);
    count += n;
    offset_ += n;
    if (offset_ < front.size()) break;
    inbox_.pop_front();
    offset_ = 1;
    ++consumed_;
  }
  return count;
}

zmq::message_t ZmqChannel::credit() {
  zmq::message_t message = typed(MessageType::credit, sizeof consumed_);
  std::memcpy(static_cast<std::byte*>(message.data()) + 1, &consumed_, sizeof consumed_);
  reported_ = consumed_;
  return message;
}

std::optional<std::size_t> ZmqPipe::write(core::Bytes head, core::Bytes body) {
  const std::lock_guard lock(shared_->mutex);
  pump();
  if (channel_.closed) return std::nullopt;
  const std::size_t total = head.size() + body.size();
  while (!head.empty() || !body.empty()) {
    if (!channel_.may_send()) break;
    core::Bytes rest_of_head = head, rest_of_body = body;
    zmq::message_t message = typed(MessageType::data, std::min(kZmqChunkBytes, head.size() + body.size()));
    fill(message, rest_of_head, rest_of_body);
    if (!transmit(std::move(message))) break;
    channel_.count_sent();
    head = rest_of_head;
    body = rest_of_body;
  }
  return total - head.size() - body.size();
}

std::optional<std::size_t> ZmqPipe::read(std::span<std::byte> into) {
  const std::lock_guard lock(shared_->mutex);
  if (!channel_.has_input()) pump();
  const std::size_t count = channel_.read(into);
  if (channel_.credit_due() && !channel_.closed) transmit(channel_.credit());
  if (count == 0 && channel_.closed) return std::nullopt;
  return count;
}

void ZmqPipe::say_closed() {
  if (!channel_.closed) transmit(typed(MessageType::closed, 0));
}

namespace {

class DealerPipe final : public ZmqPipe {
 public:
  DealerPipe(std::shared_ptr<ZmqShared> shared, const Address& address, Deadline deadline)
      : ZmqPipe(std::move(shared)), socket_(*shared_, zmq::socket_type::dealer, kMonitored) {
    try {
      Address plain = address;
      plain.scheme = "tcp";
      socket_.socket().connect(plain.text());
    } catch (const zmq::error_t& error) {
      core::fail(core::Kind::unreachable, "{}: {}", address.text(), error.what());
    }
    std::vector<zmq::pollitem_t> items;
    socket_.add_to(items);
    while (!connected_) {
      pump();
      core::check(!channel_.closed, core::Kind::unreachable, "{}: no connection", address.text());
      core::check(Clock::now() < deadline, core::Kind::timeout, "{}: no connection in time", address.text());
      if (!connected_) zmq_poll(items.data(), static_cast<int>(items.size()), milliseconds_until(deadline));
    }
  }
  ~DealerPipe() override {
    const std::lock_guard lock(shared_->mutex);
    say_closed();
  }
  ZmqSocket& socket() override { return socket_; }

 private:
  bool transmit(zmq::message_t message) override {
    return zmq_msg_send(message.handle(), socket_.socket().handle(), ZMQ_DONTWAIT) >= 0;
  }
  void pump() override {
    bool lost = false;
    socket_.drain_events([&](int event, int) {
      if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
        connected_ = true;
      else
        lost = true;
    });
    zmq::message_t message;
    while (ZmqSocket::receive(socket_.socket(), message)) channel_.accept(std::move(message));
    channel_.closed = channel_.closed || lost;
  }

  ZmqSocket socket_;
  bool connected_ = false;
};

class ZmqSleeper final : public Sleeper {
 public:
  ZmqSleeper(std::shared_ptr<ZmqShared> shared, std::weak_ptr<ZmqRouter> router)
      : shared_(std::move(shared)), router_(std::move(router)) {}

  void sleep(std::span<const Interest> interests, Deadline until) override {
    const std::shared_ptr<ZmqRouter> router = router_.lock();
    {
      const std::lock_guard lock(shared_->mutex);
      items_.clear();
      if (router) router->socket().add_to(items_);
      bool met = false;
      for (const Interest& interest : interests) {
        auto* pipe = static_cast<ZmqPipe*>(interest.pipe->native());
        if (!pipe) continue;
        const ZmqChannel& channel = pipe->channel();
        // What another pipe of the same ROUTER has brought in rings no bell.
        met = met || channel.closed || (interest.read && channel.has_input());
        pipe->socket().add_to(items_);
      }
      if (!met) poll(*shared_, items_, until);
    }
    shared_->mutex.give_way();
    if (router) router->step_door();
  }
  void housekeep() override {
    if (const std::shared_ptr<ZmqRouter> router = router_.lock()) router->step_door();
  }

 private:
  std::shared_ptr<ZmqShared> shared_;
  std::weak_ptr<ZmqRouter> router_;
  std::vector<zmq::pollitem_t> items_;
};

class ZmqEntrance final : public Entrance {
 public:
  explicit ZmqEntrance(std::shared_ptr<ZmqRouter> router) : router_(std::move(router)) {}
  Address address() const override { return router_->address(); }
  void wait(Deadline until) override {
    // Handshakes may have to be closed before anything else happens.
    until = std::min(until, router_->door().next_expiry().value_or(after(std::chrono::seconds(1))));
    {
      const std::lock_guard lock(router_->shared().mutex);
      std::vector<zmq::pollitem_t> items;
      router_->socket().add_to(items);
      poll(router_->shared(), items, until);
      router_->pump();
    }
    router_->shared().mutex.give_way();
    router_->step_door();
  }

 private:
  std::shared_ptr<ZmqRouter> router_;
};

class ZmqMedium final : public Medium {
 public:
  std::unique_ptr<Pipe> dial(const Address& address, Deadline deadline) override {
    return std::make_unique<DealerPipe>(shared_, address, deadline);
  }
  std::unique_ptr<Sleeper> sleeper() override { return std::make_unique<ZmqSleeper>(shared_, router_); }
  std::unique_ptr<Entrance> open(const Address& address, std::shared_ptr<FrontDoor> door) override {
    auto router = std::make_shared<ZmqRouter>(shared_, address, std::move(door));
    router_ = router;
    return std::make_unique<ZmqEntrance>(std::move(router));
  }

 private:
  std::shared_ptr<ZmqShared> shared_ = std::make_shared<ZmqShared>();
  std::weak_ptr<ZmqRouter> router_;
};

}  // namespace

extern const Scheme zmq_scheme;
const Scheme zmq_scheme{"zmq+tcp",
                        [](const Limits&) -> std::unique_ptr<Medium> { return std::make_unique<ZmqMedium>(); }};

}  // namespace starling::comm

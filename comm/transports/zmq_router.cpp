// The ROUTER side: one socket, a pipe for each peer that called.
#include "comm/transports/zmq.h"

namespace starling::comm {

class ZmqRouter::RouterPipe final : public ZmqPipe {
 public:
  RouterPipe(std::shared_ptr<ZmqRouter> router, std::string identity, int fd)
      : ZmqPipe(router->shared_), router_(std::move(router)), identity_(std::move(identity)), fd_(fd) {}
  ~RouterPipe() override {
    const std::lock_guard lock(shared_->mutex);
    say_closed();
    router_->pipes_.erase(identity_);
  }
  ZmqSocket& socket() override { return router_->socket_; }
  int fd() const { return fd_; }

 private:
  bool transmit(zmq::message_t message) override {
    void* socket = router_->socket_.socket().handle();
    zmq::message_t identity(identity_.data(), identity_.size());
    if (zmq_msg_send(identity.handle(), socket, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0) {
      if (zmq_errno() == EHOSTUNREACH) channel_.closed = true;
      return false;
    }
    return zmq_msg_send(message.handle(), socket, ZMQ_DONTWAIT) >= 0;
  }
  void pump() override { router_->pump(); }

  std::shared_ptr<ZmqRouter> router_;
  std::string identity_;
  int fd_;
};

ZmqRouter::ZmqRouter(std::shared_ptr<ZmqShared> shared, const Address& address, std::shared_ptr<FrontDoor> door)
    : shared_(std::move(shared)),
      door_(std::move(door)),
      address_(address),
      socket_(*shared_, zmq::socket_type::router, ZMQ_EVENT_DISCONNECTED) {
  Address plain{"tcp", address.host == "localhost" ? "127.0.0.1" : address.host, address.port};
  std::string endpoint = plain.text();
  if (address.port == 0) endpoint.replace(endpoint.size() - 1, 1, "*");
  try {
    socket_.socket().set(zmq::sockopt::router_mandatory, true);
    socket_.socket().bind(endpoint);
    address_.port = parse_address(socket_.socket().get(zmq::sockopt::last_endpoint)).port;
  } catch (const zmq::error_t& error) {
    core::fail(core::Kind::refused, "{}: cannot listen: {}", address.text(), error.what());
  }
}

void ZmqRouter::pump() {
  std::vector<int> lost;
  const auto on_event = [&](int, int fd) { lost.push_back(fd); };
  socket_.drain_events(on_event);
  zmq::message_t identity, body;
  while (ZmqSocket::receive(socket_.socket(), identity)) {
    if (!identity.more() || !ZmqSocket::receive(socket_.socket(), body)) continue;
    const bool single = !body.more();
    while (body.more() && ZmqSocket::receive(socket_.socket(), body)) continue;
    const auto found = pipes_.find(identity.to_string_view());
    if (found != pipes_.end()) {
      if (single)
        found->second->channel().accept(std::move(body));
      else
        found->second->channel().closed = true;
    } else if (single) {
      // The end of an older connection with the same descriptor must not count for this one.
      socket_.drain_events(on_event);
      for (const int fd : lost) forget_connection(fd);
      lost.clear();
      welcome(identity.to_string(), std::move(body));
    }
  }
  for (const int fd : lost) forget_connection(fd);
}

void ZmqRouter::forget_connection(int fd) {
  for (const auto& [identity, pipe] : pipes_)
    if (pipe->fd() == fd) pipe->channel().closed = true;
}

void ZmqRouter::welcome(const std::string& identity, zmq::message_t first) {
  if (newcomers_.size() >= FrontDoor::kHalfOpenMax) return;
  const char* host = zmq_msg_gets(first.handle(), "Peer-Address");  // without a port
  std::string address = fmt::format("zmq+tcp://{}", host ? host : "unknown");
  if (const auto mapped = address.find("::ffff:"); mapped != std::string::npos) address.erase(mapped, 7);
  const int fd = zmq_msg_get(first.handle(), ZMQ_SRCFD);
  auto pipe = std::make_unique<RouterPipe>(shared_from_this(), identity, fd);
  pipe->channel().accept(std::move(first));
  pipes_.emplace(identity, pipe.get());
  newcomers_.emplace_back(std::move(pipe), std::move(address));
}

void ZmqRouter::step_door() {
  decltype(newcomers_) newcomers;
  {
    const std::lock_guard lock(shared_->mutex);
    pump();
    newcomers.swap(newcomers_);
  }
  for (auto& [pipe, address] : newcomers) door_->admit(std::move(pipe), std::move(address));
  door_->step();
}

}  // namespace starling::comm

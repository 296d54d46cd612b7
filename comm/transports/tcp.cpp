// tcp://host:port. Boost.Asio resolves, connects and listens; frames go through the native non-blocking socket
// with one system call each where the kernel allows.
#include <cerrno>
#include <thread>

#include <linux/sockios.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "comm/asio.h"
#include "comm/transports/scheme.h"

namespace starling::comm {

namespace {

using boost::asio::ip::tcp;

std::string text_of(const tcp::endpoint& endpoint) {
  return Address{"tcp", endpoint.address().to_string(), endpoint.port()}.text();
}

class TcpPipe final : public Pipe {
 public:
  /// Takes the socket over. Buffer sizes stay the kernel's: setting them would end its tuning, which gives
  /// megabytes where a link needs them.
  explicit TcpPipe(tcp::socket socket) {
    boost::system::error_code ignored;
    const tcp::endpoint mine = socket.local_endpoint(ignored);
    const tcp::endpoint theirs = socket.remote_endpoint(ignored);
    same_machine_ = theirs.address().is_loopback() || mine.address() == theirs.address();
    socket.set_option(tcp::no_delay(true), ignored);
    fd_ = socket.release();
  }
  ~TcpPipe() override {
    // Input that nobody reads turns the close into a reset, which discards our last words: it is read until they
    // have left, as far as that does not take long.
    constexpr auto kLinger = std::chrono::milliseconds(100);
    shutdown(fd_, SHUT_WR);
    for (const Deadline until = after(kLinger);;) {
      std::byte rest[4096];
      for (int i = 0; i < 256 && recv(fd_, rest, sizeof rest, MSG_DONTWAIT) > 0; ++i) continue;
      int unsent = 0;
      if (ioctl(fd_, SIOCOUTQNSD, &unsent) != 0 || unsent == 0 || Clock::now() >= until) break;
      pollfd more{fd_, POLLIN, 0};
      poll(&more, 1, 1);
    }
    close(fd_);
  }

  std::optional<std::size_t> write(core::Bytes head, core::Bytes body) override {
    iovec parts[2] = {{const_cast<std::byte*>(head.data()), head.size()},
                      {const_cast<std::byte*>(body.data()), body.size()}};
    msghdr message{};
    message.msg_iov = head.empty() ? parts + 1 : parts;
    message.msg_iovlen = (head.empty() ? 0u : 1u) + (body.empty() ? 0u : 1u);
    for (;;) {
      const ssize_t count = sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count >= 0) return static_cast<std::size_t>(count);
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) return 0;
      if (errno != EINTR) return std::nullopt;
    }
  }

  std::optional<std::size_t> read(std::span<std::byte> into) override {
    if (into.empty()) return 0;
    for (;;) {
      const ssize_t count = recv(fd_, into.data(), into.size(), MSG_DONTWAIT);
      if (count > 0) return static_cast<std::size_t>(count);
      if (count == 0) return std::nullopt;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
      if (errno != EINTR) return std::nullopt;
    }
  }

  bool same_machine() const override { return same_machine_; }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
  bool same_machine_ = false;
};

pollfd poll_entry(const Interest& interest) {
  const int events = (interest.read ? POLLIN : 0) | (interest.write ? POLLOUT : 0);
  const auto* pipe = static_cast<const TcpPipe*>(interest.pipe->native());
  return {pipe ? pipe->fd() : -1, static_cast<short>(events), 0};
}

/// poll() until then, to the nanosecond: a rounded-up millisecond would be a long time for a deadline.
void poll_until(std::vector<pollfd>& entries, Deadline until) {
  const auto left = std::clamp<Clock::duration>(until - Clock::now(), Clock::duration::zero(), std::chrono::hours(1));
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
  const timespec timeout{ns / 1'000'000'000, ns % 1'000'000'000};
  ppoll(entries.data(), entries.size(), &timeout, nullptr);
}

class TcpSleeper final : public Sleeper {
 public:
  void sleep(std::span<const Interest> interests, Deadline until) override {
    entries_.clear();
    for (const Interest& interest : interests) entries_.push_back(poll_entry(interest));
    poll_until(entries_, until);
  }

 private:
  std::vector<pollfd> entries_;
};

/// Runs what `io` was given until it is done or `deadline` passes; then `cancel` ends it.
template <class Cancel>
bool run_until(boost::asio::io_context& io, Deadline deadline, Cancel cancel) {
  io.run_until(deadline == kNoDeadline ? after(std::chrono::hours(1)) : deadline);
  if (io.stopped()) return true;
  cancel();
  io.run();
  return false;
}

std::vector<tcp::endpoint> resolve(boost::asio::io_context& io, const Address& address, Deadline deadline) {
  boost::system::error_code error;
  const auto numeric = boost::asio::ip::make_address(address.host, error);
  if (!error) return {tcp::endpoint(numeric, address.port)};
  tcp::resolver resolver(io);
  tcp::resolver::results_type found;
  resolver.async_resolve(address.host, std::to_string(address.port),
                         [&](const boost::system::error_code& why, const tcp::resolver::results_type& results) {
                           error = why;
                           found = results;
                         });
  const bool in_time = run_until(io, deadline, [&] { resolver.cancel(); });
  core::check(in_time, core::Kind::timeout, "{}: the name was not resolved in time", address.text());
  core::check(!error, core::Kind::unreachable, "{}: {}", address.text(), error.message());
  return {found.begin(), found.end()};
}

std::unique_ptr<Pipe> dial_tcp(const Address& address, Deadline deadline) {
  boost::asio::io_context io;
  const std::vector<tcp::endpoint> endpoints = resolve(io, address, deadline);
  io.restart();
  tcp::socket socket(io);
  boost::system::error_code error;
  boost::asio::async_connect(socket, endpoints,
                             [&](const boost::system::error_code& why, const tcp::endpoint&) { error = why; });
  const bool in_time = run_until(io, deadline, [&] { socket.close(); });
  core::check(in_time, core::Kind::timeout, "{}: no connection in time", address.text());
  core::check(!error, core::Kind::unreachable, "{}: {}", address.text(), error.message());
  return std::make_unique<TcpPipe>(std::move(socket));
}

/// Accepts in a thread of its own, so that newcomers hear "busy" while the node works.
class TcpEntrance final : public Entrance {
 public:
  TcpEntrance(const Address& address, std::shared_ptr<FrontDoor> door)
      : door_(std::move(door)), acceptor_(io_), address_(address) {
    try {
      const tcp::endpoint endpoint = resolve(io_, address, after(std::chrono::seconds(5))).at(0);
      acceptor_.open(endpoint.protocol());
      acceptor_.set_option(tcp::acceptor::reuse_address(true));
      acceptor_.bind(endpoint);
      acceptor_.listen();
      acceptor_.non_blocking(true);
      address_.port = acceptor_.local_endpoint().port();
    } catch (const boost::system::system_error& error) {
      core::fail(core::Kind::refused, "{}: cannot listen: {}", address.text(), error.code().message());
    }
    wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    core::check(wake_ >= 0, core::Kind::overloaded, "{}: no file descriptor left", address.text());
    thread_ = std::thread([this] { run(); });
  }
  ~TcpEntrance() override {
    stopping_.store(true);
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
    thread_.join();
    close(wake_);
  }

  Address address() const override { return address_; }

  void wait(Deadline until) override {
    std::unique_lock lock(mutex_);
    const std::uint64_t seen = arrivals_seen_;
    condition_.wait_until(lock, std::min(until, after(std::chrono::hours(1))), [&] { return arrivals_ != seen; });
    arrivals_seen_ = arrivals_;
  }

 private:
  void run() {
    std::vector<pollfd> entries;
    std::vector<Interest> half_open;
    while (!stopping_.load()) {
      half_open.clear();
      door_->list_half_open(half_open);
      entries.assign({{wake_, POLLIN, 0}});
      // Out of descriptors or of places: let some handshakes end first instead of spinning.
      if (!pause_ && !door_->full()) entries.push_back({acceptor_.native_handle(), POLLIN, 0});
      for (const Interest& interest : half_open) entries.push_back(poll_entry(interest));
      Deadline until = door_->next_expiry().value_or(kNoDeadline);
      if (pause_) until = std::min(until, after(std::chrono::milliseconds(50)));
      poll_until(entries, until);
      accept_all();
      if (!door_->step()) continue;
      const std::lock_guard lock(mutex_);
      ++arrivals_;
      condition_.notify_all();
    }
  }

  void accept_all() {
    pause_ = false;
    while (!door_->full()) {
      boost::system::error_code error;
      tcp::endpoint from;
      tcp::socket socket = acceptor_.accept(from, error);
      if (error == boost::asio::error::would_block || error == boost::asio::error::connection_aborted) return;
      pause_ = static_cast<bool>(error);
      if (error) return;
      door_->admit(std::make_unique<TcpPipe>(std::move(socket)), text_of(from));
    }
  }

  std::shared_ptr<FrontDoor> door_;
  boost::asio::io_context io_;
  tcp::acceptor acceptor_;
  Address address_;
  int wake_ = -1;
  bool pause_ = false;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable condition_;
  std::uint64_t arrivals_ = 0, arrivals_seen_ = 0;
  std::thread thread_;
};

class TcpMedium final : public Medium {
 public:
  std::unique_ptr<Pipe> dial(const Address& address, Deadline deadline) override { return dial_tcp(address, deadline); }
  std::unique_ptr<Sleeper> sleeper() override { return std::make_unique<TcpSleeper>(); }
  std::unique_ptr<Entrance> open(const Address& address, std::shared_ptr<FrontDoor> door) override {
    return std::make_unique<TcpEntrance>(address, std::move(door));
  }
};

}  // namespace

extern const Scheme tcp_scheme;
const Scheme tcp_scheme{"tcp", [](const Limits&) -> std::unique_ptr<Medium> { return std::make_unique<TcpMedium>(); }};

}  // namespace starling::comm

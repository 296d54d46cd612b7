// TCP on the loopback interface with deadlines.
#include "tools/sockets.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "core/error.h"

namespace starling::tools {
namespace {

using core::Kind;

void wait_for(const Descriptor& socket, short events, Deadline deadline, const char* what) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    core::check(left.count() > 0, Kind::timeout, "{} took too long", what);
    pollfd poll{socket.get(), events, 0};
    const int ready = ::poll(&poll, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
    if (ready > 0) return;
    core::check(ready == 0 || errno == EINTR, Kind::internal, "poll: {}", std::strerror(errno));
  }
}

}  // namespace

void set_no_delay(const Descriptor& socket) {
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Descriptor listen_on_loopback(std::uint16_t& port) {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  core::check(socket.valid() && ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                  ::listen(socket.get(), 64) == 0 &&
                  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0,
              Kind::refused, "cannot listen on 127.0.0.1: {}", std::strerror(errno));
  port = ntohs(address.sin_port);
  return socket;
}

Descriptor connect_to(const std::string& host, std::uint16_t port, Deadline deadline) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int status = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  core::check(status == 0, Kind::unreachable, "{}:{}: {}", host, port, ::gai_strerror(status));
  int error = ECONNREFUSED;
  Descriptor connected;
  for (const addrinfo* at = found; at && !connected.valid(); at = at->ai_next) {
    Descriptor socket(::socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.valid()) continue;
    if (::connect(socket.get(), at->ai_addr, at->ai_addrlen) != 0 && errno != EINPROGRESS) {
      error = errno;
      continue;
    }
    try {
      wait_for(socket, POLLOUT, deadline, "connecting");
    } catch (const core::Error&) {
      error = ETIMEDOUT;
      break;
    }
    socklen_t length = sizeof error;
    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error == 0) connected = std::move(socket);
  }
  ::freeaddrinfo(found);
  core::check(connected.valid(), Kind::unreachable, "{}:{}: {}", host, port, std::strerror(error));
  set_no_delay(connected);
  return connected;
}

Descriptor accept_from(const Descriptor& listener, Deadline deadline) {
  for (;;) {
    Descriptor socket(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.valid()) {
      set_no_delay(socket);
      return socket;
    }
    core::check(errno == EAGAIN || errno == EINTR || errno == ECONNABORTED, Kind::refused, "accept: {}",
                std::strerror(errno));
    wait_for(listener, POLLIN, deadline, "waiting for a connection");
  }
}

std::pair<Descriptor, Descriptor> loopback_pair(Deadline deadline) {
  std::uint16_t port = 0;
  const Descriptor listener = listen_on_loopback(port);
  Descriptor near = connect_to("127.0.0.1", port, deadline);
  Descriptor far = accept_from(listener, deadline);
  return {std::move(near), std::move(far)};
}

void write_all(const Descriptor& socket, core::Bytes data, Deadline deadline) {
  while (!data.empty()) {
    const ssize_t n = ::send(socket.get(), data.data(), data.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      data = data.subspan(static_cast<std::size_t>(n));
      continue;
    }
    core::check(errno == EAGAIN || errno == EINTR, Kind::unreachable, "sending: {}", std::strerror(errno));
    wait_for(socket, POLLOUT, deadline, "sending");
  }
}

std::size_t read_some(const Descriptor& socket, std::span<std::byte> into, Deadline deadline) {
  for (;;) {
    const ssize_t n = ::recv(socket.get(), into.data(), into.size(), 0);
    if (n > 0) return static_cast<std::size_t>(n);
    core::check(n != 0, Kind::unreachable, "receiving: the peer closed the connection");
    core::check(errno == EAGAIN || errno == EINTR, Kind::unreachable, "receiving: {}", std::strerror(errno));
    wait_for(socket, POLLIN, deadline, "receiving");
  }
}

void read_exactly(const Descriptor& socket, std::span<std::byte> into, Deadline deadline) {
  while (!into.empty()) into = into.subspan(read_some(socket, into, deadline));
}

}  // namespace starling::tools

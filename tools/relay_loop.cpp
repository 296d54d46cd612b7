#include "tools/relay_loop.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "core/error.h"
#include "tools/sockets.h"

namespace starling::tools {
namespace {

using core::Kind;
using sim::Time;
using namespace std::chrono_literals;

/// A sleeping process wakes this much late here and there: the rest of a wait is spun.
constexpr Time kSpin = 50us;
constexpr std::uint64_t kChunkBytesMax = 64 << 10;

Time now() { return std::chrono::steady_clock::now().time_since_epoch(); }

/// Small enough that connections take turns on a slow link every few milliseconds.
std::uint64_t chunk_bytes(double bytes_per_s) {
  constexpr double kTurnSeconds = 0.4e-3;
  if (bytes_per_s <= 0) return kChunkBytesMax;
  return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(bytes_per_s * kTurnSeconds), 1500, kChunkBytesMax);
}

double slower(double a, double b) { return a <= 0 ? b : b <= 0 ? a : std::min(a, b); }

}  // namespace

struct RelayLoop::Door {
  Descriptor listener;
  int from, to;
  std::string host;
  std::uint16_t port;
};

RelayLoop::RelayLoop(const std::vector<sim::LinkSpec>& links)
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
      buffer_(kChunkBytesMax) {
  core::check(epoll_.valid() && timer_.valid(), Kind::overloaded, "relay: {}", core::last_error);
  for (const sim::LinkSpec& link : links) nodes_.emplace_back(link);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = timer_.get();
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, timer_.get(), &event);
}

RelayLoop::~RelayLoop() = default;

std::uint16_t RelayLoop::add_door(int from, int to, const std::string& host, std::uint16_t port) {
  std::uint16_t own_port = 0;
  doors_.push_back(std::make_unique<Door>(Door{listen_on_loopback(own_port), from, to, host, port}));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = doors_.back()->listener.get();
  core::check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, event.data.fd, &event) == 0, Kind::overloaded, "relay: {}",
              core::last_error);
  return own_port;
}

void RelayLoop::accept_all(Door& door) {
  for (;;) {
    Descriptor near(::accept4(door.listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!near.valid()) return;
    Descriptor far;
    try {
      far = connect_to(door.host, door.port, std::chrono::steady_clock::now() + 1s);
    } catch (const core::Error&) {
      const linger hard{1, 0};  // the caller sees a reset, as from an address where nobody listens
      ::setsockopt(near.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      continue;
    }
    set_no_delay(near);
    auto connection = std::make_unique<RelayConnection>();
    connection->sockets = {std::move(near), std::move(far)};
    for (int i = 0; i < 2; ++i) {
      RelayPipe& pipe = connection->pipes[static_cast<std::size_t>(i)];
      pipe.in = connection->sockets[static_cast<std::size_t>(i)].get();
      pipe.out = connection->sockets[static_cast<std::size_t>(1 - i)].get();
      pipe.from = &nodes_[static_cast<std::size_t>(i == 0 ? door.from : door.to)];
      pipe.to = &nodes_[static_cast<std::size_t>(i == 0 ? door.to : door.from)];
      pipe.delay = sim::delay_between(pipe.from->link, pipe.to->link);
      const double rate = slower(pipe.from->link.bytes_per_s, pipe.to->link.bytes_per_s);
      pipe.chunk_max = chunk_bytes(rate);
      pipe.queue_max = sim::read_ahead_bytes(rate, pipe.delay);
      // The kernel's own buffer would be read-ahead too.
      const int buffer = 32 << 10;
      if (rate > 0) ::setsockopt(pipe.in, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    }
    update_interest(*connection);
    connections_.push_back(std::move(connection));
  }
}

void RelayLoop::update_interest(RelayConnection& connection) {
  for (std::size_t i = 0; i < 2; ++i) {
    std::uint32_t wanted = 0;
    if (!connection.lost[i] && connection.pipes[i].may_read()) wanted |= EPOLLIN;
    if (!connection.lost[i] && connection.pipes[1 - i].blocked) wanted |= EPOLLOUT;
    std::uint32_t& current = connection.interest[i];
    if (wanted == current) continue;
    // A socket without interest is taken out: epoll would go on reporting its hang-up.
    const int operation = current == 0 ? EPOLL_CTL_ADD : wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    epoll_event event{};
    event.events = wanted;
    event.data.fd = connection.sockets[i].get();
    core::check(::epoll_ctl(epoll_.get(), operation, event.data.fd, &event) == 0, Kind::internal, "relay: epoll: {}",
                core::last_error);
    current = wanted;
  }
}

bool RelayLoop::read_chunk(RelayPipe& pipe, Time time) {
  // One chunk a turn: a busy connection does not keep the others' chunks waiting for their release.
  const ssize_t n = ::recv(pipe.in, buffer_.data(), pipe.chunk_max, 0);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  std::vector<std::byte> data(buffer_.begin(), buffer_.begin() + n);
  // What waited while this process was kept from running, or read enough ahead, was sent when it was seen.
  const Time sent = std::min(time, pipe.seen) - advance_;
  int waiting = 0;
  pipe.seen = ::ioctl(pipe.in, FIONREAD, &waiting) == 0 && waiting > 0 ? time : kNever;
  pipe.push(std::move(data), n == 0 ? RelayPipe::End::stream : RelayPipe::End::none, sent);
  return true;
}

void RelayLoop::pass_arrivals(Time time) {
  for (;;) {
    RelayPipe* earliest = nullptr;
    for (const auto& connection : connections_)
      for (RelayPipe& pipe : connection->pipes)
        if (pipe.passed < pipe.queue.size() && pipe.queue[pipe.passed].at_receiver.first <= time &&
            (!earliest || pipe.queue[pipe.passed].at_receiver.first < earliest->queue[earliest->passed].at_receiver.first))
          earliest = &pipe;
    if (!earliest) return;
    RelayPipe::Chunk& chunk = earliest->queue[earliest->passed++];
    chunk.release = earliest->to->down.pass(chunk.at_receiver, chunk.data.size()).last;
  }
}

bool RelayLoop::release(RelayPipe& pipe, Time time) {
  pipe.blocked = false;
  while (pipe.passed > 0 && pipe.queue.front().release <= time) {
    RelayPipe::Chunk& chunk = pipe.queue.front();
    while (chunk.written < chunk.data.size()) {
      const ssize_t n = ::send(pipe.out, chunk.data.data() + chunk.written, chunk.data.size() - chunk.written, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) {
        pipe.blocked = true;
        return true;
      }
      if (n < 0) return false;
      chunk.written += static_cast<std::size_t>(n);
    }
    if (chunk.end == RelayPipe::End::reset) return false;
    if (chunk.end == RelayPipe::End::stream) {
      ::shutdown(pipe.out, SHUT_WR);
      pipe.done = true;
    }
    pipe.queued -= chunk.data.size();
    pipe.queue.pop_front();
    --pipe.passed;
  }
  return true;
}

void RelayLoop::reset(RelayConnection& connection) {
  const linger hard{1, 0};
  for (Descriptor& socket : connection.sockets) {
    ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    socket.reset();
  }
  connection.broken = true;
}

/// One end is gone. The other learns of it as over a real link: after what was sent before.
void RelayLoop::lose(RelayConnection& connection, std::size_t end) {
  if (connection.broken || connection.lost[end]) return;
  connection.lost[end] = true;
  if (connection.lost[1 - end]) return reset(connection);
  connection.pipes[1 - end].give_up();
  connection.pipes[end].push({}, RelayPipe::End::reset, now() - advance_);
}

void RelayLoop::handle(RelayConnection& connection, int fd, std::uint32_t events) {
  const std::size_t i = connection.sockets[0].get() == fd ? 0 : 1;
  RelayPipe& pipe = connection.pipes[i];
  if ((events & EPOLLERR) != 0) {
    // Bytes that came before the reset are still to be had.
    std::size_t had = 0;
    do had = pipe.queue.size();
    while (!pipe.read_end && read_chunk(pipe, now()) && pipe.queue.size() > had);
    lose(connection, i);
  } else if ((events & (EPOLLIN | EPOLLHUP)) != 0 && pipe.may_read() && !read_chunk(pipe, now())) {
    lose(connection, i);
  }
  if (connection.broken) return;
  if ((events & EPOLLOUT) != 0) connection.pipes[1 - i].blocked = false;
  update_interest(connection);
}

Time RelayLoop::next_event() const {
  Time next = kNever;
  for (const auto& connection : connections_)
    for (const RelayPipe& pipe : connection->pipes) next = std::min(next, pipe.next_event());
  return next;
}

void RelayLoop::dispatch(int timeout_ms) {
  std::array<epoll_event, 64> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
  for (int k = 0; k < count; ++k) {
    const int fd = events[static_cast<std::size_t>(k)].data.fd;
    if (fd == stop_) stopped_ = true;
    for (const auto& door : doors_)
      if (door->listener.get() == fd) accept_all(*door);
    for (const auto& connection : connections_)
      if (!connection->broken && (connection->sockets[0].get() == fd || connection->sockets[1].get() == fd)) {
        handle(*connection, fd, events[static_cast<std::size_t>(k)].events);
        break;
      }
  }
}

void RelayLoop::wait(Time until) {
  const Time left = until == kNever ? kNever : until - now();
  if (left <= kSpin) return dispatch(0);
  itimerspec alarm{};
  if (until != kNever) {
    const Time wake = until - kSpin;
    alarm.it_value.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(wake).count();
    alarm.it_value.tv_nsec = (wake % 1s).count();
  }
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &alarm, nullptr);  // also clears an alarm that went off
  dispatch(-1);
}

void RelayLoop::run(int stop) {
  stop_ = stop;
  stopped_ = false;
  if (stop >= 0) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = stop;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stop, &event);
  }
  while (!stopped_) {
    wait(next_event());
    const Time time = now();
    pass_arrivals(time);
    for (const auto& connection : connections_) {
      for (std::size_t i = 0; i < 2; ++i) {
        RelayPipe& pipe = connection->pipes[i];
        if (connection->broken || pipe.blocked || pipe.queue.empty() || release(pipe, time)) continue;
        if (connection->lost[i])
          reset(*connection);  // what it sent has arrived, and so does its end
        else
          lose(*connection, 1 - i);
      }
      if (!connection->broken) update_interest(*connection);
    }
    std::erase_if(connections_, [](const auto& c) { return c->broken || (c->pipes[0].done && c->pipes[1].done); });
  }
  if (stop >= 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, stop, nullptr);
}

void RelayLoop::calibrate(int node, int peer) {
  const Time delay = sim::delay_between(nodes_[static_cast<std::size_t>(node)].link, nodes_[static_cast<std::size_t>(peer)].link);
  if (delay == 0ns) return;  // nothing could be released earlier
  std::uint16_t port = 0;
  const Descriptor listener = listen_on_loopback(port);
  const std::uint16_t door = add_door(node, peer, "127.0.0.1", port);
  const Descriptor stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const int trips = std::clamp(static_cast<int>(0.2e9 / static_cast<double>(2 * delay.count())), 5, 51);
  std::vector<Time> extra;
  std::exception_ptr failure;
  std::thread trial([&] {
    try {
      const Deadline deadline = std::chrono::steady_clock::now() + 10s + 20 * delay;
      const Descriptor near = connect_to("127.0.0.1", door, deadline);
      const Descriptor far = accept_from(listener, deadline);
      std::byte byte{};
      for (int i = 0; i < trips; ++i) {
        const Time start = now();
        write_all(near, {&byte, 1}, deadline);
        read_exactly(far, {&byte, 1}, deadline);
        write_all(far, {&byte, 1}, deadline);
        read_exactly(near, {&byte, 1}, deadline);
        extra.push_back(now() - start - 2 * delay);
      }
    } catch (...) {
      failure = std::current_exception();
    }
    ::eventfd_write(stop.get(), 1);
  });
  run(stop.get());
  trial.join();
  doors_.pop_back();
  connections_.clear();
  if (failure) std::rethrow_exception(failure);
  // The lower quartile: a trial disturbed by other processes says nothing about this one.
  std::nth_element(extra.begin(), extra.begin() + trips / 4, extra.end());
  constexpr Time kAdvanceMax = 200us;
  advance_ = std::clamp<Time>(extra[static_cast<std::size_t>(trips / 4)] / 2, 0ns, std::min<Time>(delay / 2, kAdvanceMax));
}

}  // namespace starling::tools

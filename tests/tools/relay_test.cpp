// The relay process as local ranks use it: delays, rates, order, ends of connections, back-pressure.
#include "tools/hosts.h"
#include "tools/relay.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <thread>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>

#include "tests/tools/program.h"
#include "tools/sockets.h"

using namespace starling;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using tools::Descriptor;

namespace {

Clock::time_point soon() { return Clock::now() + 20s; }

/// Listening sockets of ranks 1.. and a relay in front of them.
struct Net {
  Net(const std::string& link, int ranks) {
    for (int rank = 1; rank < ranks; ++rank) {
      std::uint16_t port = 0;
      listeners.push_back(tools::listen_on_loopback(port));
      uris.push_back("tcp://127.0.0.1:" + std::to_string(port));
    }
    relay = std::make_unique<tools::Relay>(sim::parse_link(link), uris, tests::program_path());
  }

  /// A connection from one rank to another through the relay.
  std::pair<Descriptor, Descriptor> connect(int from, int to) {
    const auto index = static_cast<std::size_t>(to - 1);
    const auto address = tools::parse_uri(relay->route()(from, to, uris[index]));
    CHECK(address.host == "127.0.0.1");
    Descriptor near = tools::connect_to(address.host, address.port, soon());
    return {std::move(near), tools::accept_from(listeners[index], soon())};
  }

  std::vector<Descriptor> listeners;
  std::vector<std::string> uris;
  std::unique_ptr<tools::Relay> relay;
};

double milliseconds(Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

/// Median of the time that `bytes` take one way, in ms. Both ends are in this process: one clock.
double one_way_ms(const Descriptor& from, const Descriptor& to, std::size_t bytes, int times) {
  std::vector<std::byte> data(bytes);
  std::vector<double> taken;
  for (int i = 0; i < times; ++i) {
    const auto start = Clock::now();
    tools::write_all(from, data, soon());
    tools::read_exactly(to, data, soon());
    taken.push_back(milliseconds(Clock::now() - start));
  }
  std::sort(taken.begin(), taken.end());
  return taken[taken.size() / 2];
}

double seconds_to_receive(const Descriptor& to, std::size_t bytes, Clock::time_point start) {
  std::vector<std::byte> data(bytes);
  tools::read_exactly(to, data, soon());
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

TEST_CASE("the relay checks itself, and both delay and rate are as asked") {
  for (const std::string link : {"delay=2ms,rate=300mbit", "delay=5ms", "rate=100mbit"}) {
    CAPTURE(link);
    Net net(link, 2);
    const tools::LinkCheck check = net.relay->check();
    CHECK(check.ok);
    const auto json = tools::to_json(check);
    CHECK(json.at("link") == sim::to_string(sim::parse_link(link)));
    CHECK(json.at("ok") == true);
  }
}

TEST_CASE("a byte takes the delay in each direction, between any two ranks") {
  Net net("delay=3ms", 3);
  for (const auto& [from, to] : {std::pair{0, 1}, std::pair{1, 2}, std::pair{2, 1}}) {
    const auto [near, far] = net.connect(from, to);
    CHECK(one_way_ms(near, far, 1, 21) == doctest::Approx(3.0).epsilon(0.08));
    CHECK(one_way_ms(far, near, 1, 21) == doctest::Approx(3.0).epsilon(0.08));
  }
}

TEST_CASE("a message takes delay plus size over rate, and many are under way at once") {
  Net net("delay=5ms,rate=80mbit", 2);
  const auto [near, far] = net.connect(0, 1);
  CHECK(one_way_ms(near, far, 50'000, 9) == doctest::Approx(10.0).epsilon(0.08));
  // 20 small messages, one a millisecond: pipelined they need 25 ms, one after the other 100 ms.
  const auto start = Clock::now();
  std::byte byte{};
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_until(start + i * 1ms);
    tools::write_all(near, {&byte, 1}, soon());
  }
  CHECK(seconds_to_receive(far, 20, start) < 0.060);
}

TEST_CASE("all connections of a node share its link, in each direction by itself") {
  Net net("rate=80mbit", 4);
  constexpr std::size_t kBytes = 1'000'000;  // 100 ms alone
  const std::vector<std::byte> data(kBytes);
  auto a = net.connect(1, 3), b = net.connect(2, 3), c = net.connect(0, 1);
  const auto send = [&](const Descriptor& socket) {
    return std::jthread([&socket, &data] { tools::write_all(socket, data, soon()); });
  };
  SUBCASE("two senders into one receiver take twice as long") {
    const auto start = Clock::now();
    const auto first = send(a.first), second = send(b.first);
    double other = 0;
    std::jthread reader([&] { other = seconds_to_receive(b.second, kBytes, start); });
    const double one = seconds_to_receive(a.second, kBytes, start);
    reader.join();
    CHECK(std::max(one, other) == doctest::Approx(0.2).epsilon(0.08));
  }
  SUBCASE("one node sends and receives at full rate at the same time") {
    const auto start = Clock::now();
    const auto first = send(a.first), second = send(c.first);  // node 1 sends to 3, receives from 0
    double other = 0;
    std::jthread reader([&] { other = seconds_to_receive(c.second, kBytes, start); });
    const double one = seconds_to_receive(a.second, kBytes, start);
    reader.join();
    CHECK(std::max(one, other) == doctest::Approx(0.1).epsilon(0.1));
  }
}

TEST_CASE("every byte arrives once and in order, both ways at once") {
  Net net("delay=1ms,rate=400mbit", 2);
  const auto [near, far] = net.connect(0, 1);
  std::vector<std::uint32_t> numbers(500'000);
  std::iota(numbers.begin(), numbers.end(), 7u);
  const auto check_one_way = [&](const Descriptor& from, const Descriptor& to) {
    std::jthread sender([&] { tools::write_all(from, std::as_bytes(std::span(numbers)), soon()); });
    std::vector<std::uint32_t> received(numbers.size());
    tools::read_exactly(to, std::as_writable_bytes(std::span(received)), soon());
    return received == numbers;
  };
  bool back = false;
  std::jthread other([&, &n = near, &f = far] { back = check_one_way(f, n); });
  const bool forth = check_one_way(near, far);
  other.join();
  CHECK(forth);
  CHECK(back);
}

TEST_CASE("a half-closed connection delivers the rest and carries the answer") {
  Net net("delay=2ms", 2);
  const auto [near, far] = net.connect(0, 1);
  const std::vector<std::byte> data(300'000, std::byte{5});
  tools::write_all(near, data, soon());
  ::shutdown(near.get(), SHUT_WR);
  std::vector<std::byte> received(data.size());
  tools::read_exactly(far, received, soon());
  CHECK(received == data);
  std::byte byte{};
  CHECK(tests::contains(tests::refusal(core::Kind::unreachable, [&, &f = far] { tools::read_exactly(f, {&byte, 1}, soon()); }), "closed"));
  tools::write_all(far, std::span(data).first(10), soon());
  tools::read_exactly(near, std::span(received).first(10), soon());
}

TEST_CASE("a reset arrives after what was sent before it") {
  Net net("delay=100ms", 2);
  auto [near, far] = net.connect(0, 1);
  const std::vector<std::byte> data(1000);
  // The other end has sent something that is never read: closing then resets the connection.
  tools::write_all(far, data, soon());
  std::this_thread::sleep_for(200ms);
  tools::write_all(near, data, soon());
  const auto start = Clock::now();
  near.reset();
  std::vector<std::byte> received(data.size());
  tools::read_exactly(far, received, soon());
  CHECK(received == data);
  std::byte byte{};
  CHECK(tests::contains(tests::refusal(core::Kind::unreachable, [&, &f = far] { tools::read_exactly(f, {&byte, 1}, soon()); }), "reset"));
  CHECK(milliseconds(Clock::now() - start) == doctest::Approx(100.0).epsilon(0.2));
}

TEST_CASE("a target that is not there looks unreachable through the relay too") {
  Net net("delay=1ms", 2);
  net.listeners[0].reset();
  const auto address = tools::parse_uri(net.relay->route()(0, 1, net.uris[0]));
  tests::refusal(core::Kind::unreachable, [&] {
    const Descriptor near = tools::connect_to(address.host, address.port, soon());
    std::byte byte{};
    tools::read_exactly(near, {&byte, 1}, soon());
  });
}

TEST_CASE("a slow link holds its sender back") {
  Net net("delay=1ms,rate=8mbit", 2);
  const auto [near, far] = net.connect(0, 1);
  const int small = 16 << 10;
  ::setsockopt(near.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  // What a sender gets rid of at once: its own buffer, the relay's, and what is read ahead: far less than this.
  const std::vector<std::byte> data(4 << 20);
  std::size_t accepted = 0;
  const auto start = Clock::now();
  while (Clock::now() - start < 200ms) {
    const ssize_t n = ::send(near.get(), data.data(), data.size() - accepted, MSG_NOSIGNAL);
    if (n > 0) accepted += static_cast<std::size_t>(n);
  }
  CHECK(accepted < (1u << 20));
  CHECK(accepted > 100'000);
}

TEST_CASE("the relay keeps the scheme of an address and knows only its ranks") {
  Net net("delay=1ms", 2);
  CHECK(net.relay->route()(0, 1, "zmq+tcp://127.0.0.1:5").rfind("zmq+tcp://127.0.0.1:", 0) == 0);
  tests::refusal(core::Kind::internal, [&] { net.relay->route()(0, 2, "tcp://127.0.0.1:5"); });
}

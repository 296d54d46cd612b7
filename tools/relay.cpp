// Starts the relay process, asks it for its doors, and measures through it.
#include "tools/relay.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <thread>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tools/hosts.h"
#include "tools/sockets.h"

namespace starling::tools {
namespace {

using core::Kind;
using Clock = std::chrono::steady_clock;

constexpr double kTolerance = 0.05;
constexpr double kRoundTripFloorMs = 0.1;

double milliseconds(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

double median_round_trip_ms(const Descriptor& near, const Descriptor& far, sim::Time delay, Deadline deadline) {
  const int trips = std::clamp(static_cast<int>(0.3e9 / static_cast<double>(2 * delay.count() + 1)), 5, 101);
  std::vector<double> times;
  std::byte byte{};
  for (int i = 0; i < trips; ++i) {
    const auto start = Clock::now();
    write_all(near, {&byte, 1}, deadline);
    read_exactly(far, {&byte, 1}, deadline);
    write_all(far, {&byte, 1}, deadline);
    read_exactly(near, {&byte, 1}, deadline);
    times.push_back(milliseconds(Clock::now() - start));
  }
  std::nth_element(times.begin(), times.begin() + trips / 2, times.end());
  return times[static_cast<std::size_t>(trips / 2)];
}

/// From the first byte sent to the last received, less the delay.
double push_bytes_per_s(const Descriptor& near, const Descriptor& far, std::uint64_t bytes, sim::Time delay, Deadline deadline) {
  const auto start = Clock::now();
  std::thread sender([&near, bytes, deadline] {
    const std::vector<std::byte> block(1 << 16);
    try {
      for (std::uint64_t left = bytes; left > 0;) {
        const std::uint64_t n = std::min<std::uint64_t>(left, block.size());
        write_all(near, std::span(block).first(n), deadline);
        left -= n;
      }
    } catch (const core::Error&) {
      // The receiver runs into the same deadline and reports it.
    }
  });
  std::exception_ptr failure;
  std::vector<std::byte> buffer(1 << 18);
  try {
    for (std::uint64_t left = bytes; left > 0;) left -= read_some(far, buffer, deadline);
  } catch (...) {
    failure = std::current_exception();
  }
  const double seconds = milliseconds(Clock::now() - start - delay) / 1e3;
  sender.join();
  if (failure) std::rethrow_exception(failure);
  return static_cast<double>(bytes) / seconds;
}

bool near_enough(double measured, double asked, double floor) {
  return std::abs(measured - asked) <= std::max(kTolerance * asked, floor);
}

double percent_off(double measured, double asked) { return asked > 0 ? (measured / asked - 1) * 100 : 0; }

}  // namespace

Relay::Relay(const sim::LinkSpec& link, const std::vector<std::string>& uris, const std::string& program) : link_(link) {
  std::uint16_t own_port = 0;
  check_listener_ = listen_on_loopback(own_port);
  std::vector<std::string> arguments{program, "relay", "--shape", sim::to_string(link), "--check",
                                     "127.0.0.1:" + std::to_string(own_port)};
  for (const std::string& uri : uris) {
    const comm::Address address = parse_uri(uri);
    arguments.insert(arguments.end(), {"--target", address.host + ":" + std::to_string(address.port)});
  }
  const auto child = process_.spawn(std::move(arguments), "relay");
  std::istringstream ports(process_.announcement(child, Clock::now() + std::chrono::seconds(20)));
  const auto ranks = static_cast<core::Rank>(uris.size()) + 1;
  ports >> check_port_;
  for (core::Rank from = 0; from < ranks; ++from)
    for (core::Rank to = 1; to < ranks; ++to)
      if (from != to) ports >> ports_[{from, to}];
  core::check(!ports.fail(), Kind::internal, "the relay announced too few ports");
}

LinkCheck Relay::check() {
  constexpr int kAttempts = 3;
  constexpr std::uint64_t kPushBytes = 10'000'000;
  constexpr double kPushSecondsMax = 2;
  LinkCheck result;
  result.link = link_;
  result.pushed_bytes = kPushBytes;
  if (link_.bytes_per_s > 0)  // a slow link is measured by what passes in two seconds
    result.pushed_bytes = static_cast<std::uint64_t>(std::min(kPushBytes * 1.0, std::max(1.0, link_.bytes_per_s * kPushSecondsMax)));
  const double asked_ms = milliseconds(2 * link_.delay);
  for (int attempt = 0; attempt < kAttempts && !result.ok; ++attempt) {
    const auto deadline = Clock::now() + std::chrono::seconds(10) + 20 * link_.delay;
    const Descriptor near = connect_to("127.0.0.1", check_port_, deadline);
    const Descriptor far = accept_from(check_listener_, deadline);
    result.round_trip_ms = median_round_trip_ms(near, far, link_.delay, deadline);
    result.bytes_per_s = push_bytes_per_s(near, far, result.pushed_bytes, link_.delay, deadline);
    // Without a delay there is none to be exact about: what this machine needs is what every byte then takes.
    result.ok = (asked_ms == 0 || near_enough(result.round_trip_ms, asked_ms, kRoundTripFloorMs)) &&
                (link_.bytes_per_s == 0 || near_enough(result.bytes_per_s, link_.bytes_per_s, 0));
  }
  fmt::print(stderr, "{}\n", to_string(result));
  return result;
}

std::function<std::string(core::Rank, core::Rank, const std::string&)> Relay::route() const {
  return [ports = ports_](core::Rank from, core::Rank to, const std::string& uri) {
    const auto port = ports.find({from, to});
    core::check(port != ports.end(), Kind::internal, "the relay has no door from rank {} to rank {} ({})", from, to, uri);
    return fmt::format("{}://127.0.0.1:{}", parse_uri(uri).scheme, port->second);
  };
}

std::string to_string(const LinkCheck& check) {
  const double asked_ms = milliseconds(2 * check.link.delay);
  std::string text = fmt::format("link {}: round trip {:.3g} ms", sim::to_string(check.link), check.round_trip_ms);
  if (asked_ms > 0) text += fmt::format(" ({:+.1f} %)", percent_off(check.round_trip_ms, asked_ms));
  text += fmt::format(", {:.4g} MB/s", check.bytes_per_s / 1e6);
  if (check.link.bytes_per_s > 0) text += fmt::format(" ({:+.1f} %)", percent_off(check.bytes_per_s, check.link.bytes_per_s));
  return text + (check.ok ? ": as asked" : ": NOT as asked, this machine is too busy for it");
}

nlohmann::json to_json(const LinkCheck& check) {
  return {{"link", sim::to_string(check.link)},
          {"delay_ms", milliseconds(check.link.delay)},
          {"rate_bytes_per_s", check.link.bytes_per_s},
          {"round_trip_ms", check.round_trip_ms},
          {"measured_bytes_per_s", check.bytes_per_s},
          {"pushed_bytes", check.pushed_bytes},
          {"ok", check.ok}};
}

}  // namespace starling::tools

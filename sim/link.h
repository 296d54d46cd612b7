// The model of a device's access link: a delay and a rate, as pure functions of a given clock. The relay of a
// local cluster runs it on the real clock, a simulator on a virtual one.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace starling::sim {

using Time = std::chrono::nanoseconds;  // since any origin

struct LinkSpec {
  Time delay{0};           // one way, node to node
  double bytes_per_s = 0;  // each direction; 0: unlimited

  friend bool operator==(const LinkSpec&, const LinkSpec&) = default;
};

/// "delay=1ms,rate=300mbit": either part may be absent. Delays in us, ms or s (at most 60 s), rates in kbit,
/// mbit or gbit per second (powers of ten). Kind::usage names the part that is wrong.
LinkSpec parse_link(std::string_view text);
std::string to_string(const LinkSpec& link);

/// The delay between two nodes: each contributes one half of its own.
Time delay_between(const LinkSpec& a, const LinkSpec& b);

/// When the first and the last bit of a chunk pass a point.
struct Passage {
  Time first{0}, last{0};
};

/// One direction of an access link, shared by all connections of its node: chunks pass one after the other,
/// in the order of the calls.
class Bucket {
 public:
  explicit Bucket(double bytes_per_s) : bytes_per_s_(bytes_per_s) {}
  /// A chunk whose bits are there at `ready` passes as soon as the bucket is free, at its rate, and not
  /// before its own last bit is there: on the way through two buckets in a row the rate counts once.
  Passage pass(Passage ready, std::uint64_t bytes);

 private:
  double bytes_per_s_;
  Time free_at_ = Time::min();
};

/// Bytes that may be under way on a connection before its sender is held back: what fits on the path (rate
/// times delay) and 64 KiB; a path without a rate is bounded too.
std::uint64_t read_ahead_bytes(double bytes_per_s, Time delay);

}  // namespace starling::sim

// The link model against arithmetic done by hand.
#include "sim/link.h"

#include <doctest/doctest.h>

#include "core/error.h"

using namespace starling;
using namespace std::chrono_literals;
using sim::Bucket;
using sim::LinkSpec;
using sim::Passage;
using sim::Time;

TEST_CASE("a link description gives delay and rate in any order and unit") {
  CHECK(sim::parse_link("delay=1ms,rate=300mbit") == LinkSpec{1ms, 37.5e6});
  CHECK(sim::parse_link("rate=1gbit,delay=250us") == LinkSpec{250us, 125e6});
  CHECK(sim::parse_link("delay=0.5s") == LinkSpec{500ms, 0});
  CHECK(sim::parse_link("rate=64kbit") == LinkSpec{0ns, 8000});
}

TEST_CASE("what to_string writes, parse_link reads") {
  for (const char* text : {"delay=1ms,rate=300mbit", "delay=250us", "delay=2.5s,rate=64kbit", "delay=0us,rate=10gbit"})
    CHECK(sim::to_string(sim::parse_link(text)) == text);
}

TEST_CASE("a wrong link description is refused with the part named") {
  const auto message = [](const char* text) -> std::string {
    try {
      sim::parse_link(text);
    } catch (const core::Error& error) {
      CHECK(error.kind() == core::Kind::usage);
      return error.what();
    }
    return "accepted";
  };
  const auto names = [&](const char* text, const char* part) {
    const std::string said = message(text);
    CAPTURE(said);
    CHECK(said.find(part) != std::string::npos);
  };
  names("", "delay=1ms,rate=300mbit");
  names("delay=1m", "unknown unit 'm'; known: us ms s");
  names("delay=1", "unknown unit ''");
  names("rate=300mb", "unknown unit 'mb'; known: kbit mbit gbit");
  names("rate=fast", "'fast' is no rate");
  names("delay=-1ms", "'-1ms' is no delay");
  names("delay=nanms", "'nanms' is no delay");
  names("delay=1h", "unknown unit 'h'");
  names("delay=61s", "more than 60s");
  names("rate=0mbit", "not above 0");
  names("rate=1e9gbit", "at most 1000gbit");
  names("delay=1ms,delay=2ms", "delay is given twice");
  names("loss=1%", "'loss=1%' is unknown");
  names("delay=1ms,", "ends with a comma");
  names("delay=1ms,,rate=1mbit", "'' is unknown");
}

TEST_CASE("a chunk on an idle link takes its size over the rate") {
  Bucket bucket(1e6);
  const Passage passage = bucket.pass({10ms, 10ms}, 5000);
  CHECK(passage.first == 10ms);
  CHECK(passage.last == 15ms);
}

TEST_CASE("chunks of all connections queue for one bucket, and idle time is not saved up") {
  Bucket bucket(1e6);
  CHECK(bucket.pass({0ms, 0ms}, 1000).last == 1ms);
  CHECK(bucket.pass({0ms, 0ms}, 1000).last == 2ms);
  CHECK(bucket.pass({500us, 500us}, 1000).last == 3ms);
  CHECK(bucket.pass({10ms, 10ms}, 1000).last == 11ms);
  CHECK(bucket.pass({10ms, 10ms}, 1000).last == 12ms);
}

TEST_CASE("two buckets in a row cost the slower rate once, not twice") {
  for (const auto& [up_rate, down_rate] : {std::pair{1e6, 1e6}, std::pair{1e6, 4e6}, std::pair{4e6, 1e6}}) {
    Bucket up(up_rate), down(down_rate);
    Passage out = up.pass({0ms, 0ms}, 4000);
    const Passage in = down.pass({out.first + 2ms, out.last + 2ms}, 4000);
    CHECK(in.last == 6ms);
  }
}

TEST_CASE("a bucket without a rate lets everything pass at once") {
  Bucket bucket(0);
  CHECK(bucket.pass({3ms, 3ms}, 1u << 30).last == 3ms);
  CHECK(bucket.pass({1ms, 1ms}, 1u << 30).last == 1ms);
}

TEST_CASE("ten megabytes in chunks of any size take the time of the rate") {
  for (const std::uint64_t chunk : {1000u, 16384u, 65536u}) {
    Bucket bucket(37.5e6);
    Time last{0};
    std::uint64_t done = 0;
    for (; done < 10'000'000; done += chunk) last = bucket.pass({0ms, 0ms}, chunk).last;
    CHECK(static_cast<double>(done) / (static_cast<double>(last.count()) / 1e9) == doctest::Approx(37.5e6).epsilon(1e-3));
  }
}

TEST_CASE("nodes with different links share the delay half and half, and read-ahead follows the path") {
  CHECK(sim::delay_between({2ms, 0}, {4ms, 0}) == 3ms);
  CHECK(sim::read_ahead_bytes(37.5e6, 5ms) == 187'500 + 65'536);
  CHECK(sim::read_ahead_bytes(0, 1ms) == (64u << 20) + (64u << 10));
}

// Recorded links and processors: exact to the packet against a walk over every opportunity, however often the recording is
// repeated; hostile files are refused by line; the real recordings have their published sizes.
#include "sim/traces/capacity.h"

#include <cmath>
#include <functional>
#include <random>

#include <doctest/doctest.h>

#include "core/error.h"
#include "sim/traces/folder.h"
#include "tests/data.h"

using namespace starling;
using namespace starling::sim;
using namespace std::chrono_literals;

namespace {

/// Every opportunity one after the other.
Time walk(const std::vector<Time>& at, Time start, std::int64_t bytes) {
  for (Time base{0};; base += at.back())
    for (const Time t : at)
      if (base + t >= start && (bytes -= 1500) <= 0) return base + t;
}

/// Every interval one after the other; seconds.
long double walk(const std::vector<double>& ends, const std::vector<double>& rates, long double start, long double amount) {
  for (long double base = 0;; base += static_cast<long double>(ends.back()))
    for (std::size_t i = 0; i < ends.size(); ++i) {
      const long double begin = std::max(start, base + (i > 0 ? static_cast<long double>(ends[i - 1]) : 0)), end = base + static_cast<long double>(ends[i]);
      if (end <= begin) continue;
      const long double passes = static_cast<long double>(rates[i]) * (end - begin);
      if (passes >= amount) return begin + amount / static_cast<long double>(rates[i]);
      amount -= passes;
    }
}

std::string said(const std::function<void()>& body) {
  try {
    body();
  } catch (const core::Error& error) {
    CHECK_MESSAGE(error.kind() == core::Kind::malformed, error.what());
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

double seconds(Time t) { return static_cast<double>(t.count()) / 1e9; }

}  // namespace

TEST_CASE("a file that holds just 1 is a packet every millisecond") {
  const Capacity link = parse_mahimahi("1\n", "one");
  CHECK(link.mean_per_second() == 1500e3);
  CHECK(link.finish(0ms, 0) == 0ms);
  CHECK(link.finish(0ms, 1) == 1ms);
  CHECK(link.finish(0ms, 1500) == 1ms);
  CHECK(link.finish(0ms, 1501) == 2ms);
  CHECK(link.finish(7ms, 1500) == 7ms);  // what comes at its moment takes it
  CHECK(link.finish(7ms + 1ns, 1500) == 8ms);
  CHECK(link.finish(5ms, 1500e12) == 5ms + 999'999'999'999ms);
  CHECK_THROWS_AS(link.finish(5ms, 1500e15), core::Error);
}

TEST_CASE("packets pass when a walk over every opportunity says so") {
  std::mt19937_64 random(11);
  for (int trace = 0; trace < 60; ++trace) {
    std::string text;
    std::vector<Time> at;
    std::int64_t ms = static_cast<std::int64_t>(random() % 3);
    for (std::size_t n = 1 + random() % 40; n > 0; --n) {
      at.push_back(std::chrono::milliseconds(ms));
      text += std::to_string(ms) + (random() % 2 == 0 ? "\n" : "\r\n");
      ms += static_cast<std::int64_t>(random() % 4 == 0 ? 1 + random() % 50 : random() % 2);
    }
    if (at.back() == 0ms) continue;
    const Capacity link = parse_mahimahi(text, "random");
    CHECK(link.period() == at.back());
    for (int query = 0; query < 200; ++query) {
      Time start(static_cast<Time::rep>(random() % static_cast<std::uint64_t>(4 * at.back().count())));
      if (query % 2 == 0) start = std::chrono::duration_cast<std::chrono::milliseconds>(start);  // the edges
      if (query % 16 == 0) start = static_cast<Time::rep>(random() % 4) * at.back();
      const auto bytes = static_cast<std::int64_t>(1 + random() % (1500 * 200));
      CHECK(link.finish(start, static_cast<double>(bytes)) == walk(at, start, bytes));
    }
  }
}

TEST_CASE("rates hold until the time of their line, and repeat") {
  // 8 Mbit/s for 2 s, nothing for 1 s, 4 Mbit/s for 1 s: 2.5 MB in 4 s. The first line only begins the log.
  const Capacity link = parse_throughput("10 99\n12 8\n13.0 0\n14\t4\n", "log");
  CHECK(link.period() == 4s);
  CHECK(link.mean_per_second() == 2.5e6 / 4);
  CHECK(link.finish(0s, 1e6) == 1s);
  CHECK(link.finish(0s, 2e6) == 2s);
  CHECK(link.finish(0s, 2.25e6) == 3500ms);
  CHECK(link.finish(2500ms, 0.25e6) == 3500ms);
  CHECK(link.finish(1s, 1e6 + 0.5e6 + 1e6) == 5s);
  CHECK(link.finish(1s, 2.5e6 * 1'000'000) == 1s + 1'000'000 * 4s);
  CHECK(parse_throughput("0 1\n1 3\n", "third", 1.0 / 3).finish(0s, 125e3) == 1s);
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (int trace = 0; trace < 50; ++trace) {
    std::vector<double> ends, rates;
    std::string text = "0 0\n";
    double at = 0;
    for (std::size_t n = 2 + random() % 20; n > 0; --n) {
      ends.push_back(at += static_cast<double>(1 + random() % 3000) / 1000);
      const double mbit = random() % 4 == 0 && n > 1 ? 0 : static_cast<double>(1 + random() % 8000) / 1000;
      rates.push_back(mbit * 125e3);
      text += fmt::format("{} {}\n", at, mbit);
    }
    const Capacity capacity = parse_throughput(text, "random");
    for (int query = 0; query < 100; ++query) {
      const double start = std::round(1e9 * 3 * at * uniform(random)) / 1e9, bytes = std::floor(3e6 * uniform(random)) + 1;
      const long double expected = walk(ends, rates, static_cast<long double>(start), static_cast<long double>(bytes));
      CHECK(std::abs(seconds(capacity.finish(Time(std::llround(start * 1e9)), bytes)) - static_cast<double>(expected)) < 3e-9 * (1 + static_cast<double>(expected)));
    }
  }
}

TEST_CASE("work takes longer on a processor that others use") {
  std::string half;
  for (int i = 0; i < 288; ++i) half += "50\n";
  const Capacity busy = parse_planetlab(half, "half");
  CHECK(busy.period() == 24h);
  CHECK(busy.finish(100s, 10) == 120s);
  CHECK(busy.finish(0s, 365 * 43200.0) == 365 * 24h);
  const Capacity full = parse_planetlab("100\n0\n", "full");
  CHECK(full.finish(0s, 1) == 100s);  // a hundredth is left
  CHECK(full.finish(200s, 2) == 301s);
}

TEST_CASE("files that break their format are refused by name and line") {
  CHECK(contains(said([] { parse_mahimahi("3\n5\n4\n", "t.down"); }), "t.down: line 3: expected a whole number of milliseconds, not below the line before"));
  for (const char* text : {"-1\n", "x\n", "1.5\n", "1 2\n", "1000000001\n", "99999999999999999999\n", "\n\n0x\n"})
    CHECK(contains(said([&] { parse_mahimahi(text, "t.down"); }), "t.down: line "));
  CHECK(contains(said([] { parse_mahimahi("0\n0\n", "t.down"); }), "at least one time above 0"));
  CHECK(contains(said([] { parse_mahimahi("", "t.down"); }), "at least one time above 0"));
  for (const char* text : {"0 1\n0 1\n", "0\n", "0 1 2\n", "0 -1\n", "0 nan\n", "inf 1\n", "0 1\n1e300 1\n", "0 1\n1 1e300\n", "0 1\n1e-12 1\n"})
    CHECK(contains(said([&] { parse_throughput(text, "log"); }), "log: line "));
  CHECK(contains(said([] { parse_throughput("0 5\n1 0\n", "log"); }), "a throughput above 0"));
  for (const char* text : {"101\n", "-1\n", "5%\n", "5 5\n", "4.5\n"}) CHECK(contains(said([&] { parse_planetlab(text, "cpu"); }), "cpu: line 1: expected"));
  CHECK(contains(said([] { parse_planetlab("\n", "cpu"); }), "cpu: expected at least one line"));
  CHECK(contains(said([] { parse_phones("{\"a\": 0}", "phones"); }), "the score of 'a' is 0"));
  CHECK(contains(said([] { parse_phones("{\"a\": {}}", "phones"); }), "expected a number above 0"));
  CHECK(contains(said([] { parse_phones("[]", "phones"); }), "phones"));
  CHECK(contains(said([] { parse_phones("{}", "phones"); }), "expected an object of phones"));
}

TEST_CASE("the recordings have their published sizes") {
  const auto file = tests::data_file("mahimahi-lte/ATT-LTE-driving-2016.down.gz");
  if (!file) return;
  const std::filesystem::path folder = file->parent_path().parent_path();
  const std::vector<LinkTrace> lte = load_mahimahi(folder);
  REQUIRE(lte.size() == 4);
  CHECK(lte[1].name == "ATT-LTE-driving-2016");
  CHECK(lte[1].down.finish(0s, 45604 * 1500.0) == 120002ms);
  CHECK(lte[1].down.finish(0s, 3 * 45604 * 1500.0) == 3 * 120002ms);
  CHECK(lte[1].down.finish(0s, 3 * 45604 * 1500.0 + 1) == 3 * 120002ms);  // the next round begins with packets at its 0 ms
  for (const LinkTrace& link : lte)
    for (const Capacity* way : {&link.down, &link.up}) {
      CHECK(way->period() >= 120s);
      CHECK(way->period() < 1013s);
      CHECK(way->mean_per_second() * 8 > 0.8e6);
      CHECK(way->mean_per_second() * 8 < 16.75e6);
    }
  const std::vector<LinkTrace> norway = load_norway(folder);
  CHECK(norway.size() == 80);
  for (const LinkTrace& link : norway) {
    CHECK(link.down.period() == link.up.period());
    CHECK(link.down.mean_per_second() == doctest::Approx(3 * link.up.mean_per_second()));
    CHECK(link.down.mean_per_second() * 8 < 8.04e6);
  }
  const std::vector<Capacity> machines = load_planetlab(folder);
  CHECK(machines.size() == 1052);
  for (const Capacity& m : machines) CHECK(m.period() == 24h);
  CHECK(load_phones(folder).size() == 307);
}

TEST_CASE("recordings that are missing say where they come from") {
  try {
    load_mahimahi("/nowhere");
    FAIL("no error");
  } catch (const core::Error& error) {
    CHECK(error.kind() == core::Kind::missing);
    CHECK(contains(error.what(), "/nowhere/mahimahi-lte"));
    CHECK(contains(error.what(), "github.com/ravinet/mahimahi"));
  }
  CHECK_THROWS_WITH_AS(load_norway("/nowhere"), doctest::Contains("Real-world-bandwidth-traces"), core::Error);
  CHECK_THROWS_WITH_AS(load_planetlab("/nowhere"), doctest::Contains("planetlab-workload-traces"), core::Error);
  CHECK_THROWS_WITH_AS(load_phones("/nowhere"), doctest::Contains("FLASH"), core::Error);
}

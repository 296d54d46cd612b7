// Who is there when: lists of stays against a look at every stay, and chance against its probabilities.
#include "sim/presence.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <doctest/doctest.h>

#include "core/error.h"
#include "sim/intervals.h"
#include "sim/profile_table.h"

using namespace starling;
using namespace starling::sim;
using federated::Seconds;

namespace {

/// FedScale's definition: begin <= t mod P <= end for some stay; in microseconds.
bool inside(const std::vector<Stay>& stays, std::uint32_t period_ms, double now) {
  const std::int64_t phase = std::llround(now * 1e6) % (period_ms * 1000ll);
  return std::any_of(stays.begin(), stays.end(), [&](const Stay& s) { return s.begin_ms * 1000ll <= phase && phase <= s.end_ms * 1000ll; });
}

std::string said(const std::string& text) {
  try {
    ProfileTable::parse(text, "devices.jsonl");
  } catch (const core::Error& error) {
    CHECK_MESSAGE(error.kind() == core::Kind::malformed, error.what());
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a device is there as a look at all its stays says, though time jumps") {
  std::mt19937_64 random(17);
  for (int device = 0; device < 100; ++device) {
    std::vector<Stay> stays;
    std::uint32_t at = random() % 3 == 0 ? 0 : static_cast<std::uint32_t>(random() % 5000);
    for (std::size_t n = 1 + random() % 12; n > 0; --n) {
      const auto end = at + static_cast<std::uint32_t>(random() % 8 == 0 ? 0 : random() % 20'000);
      stays.push_back({at, end});
      at = end + static_cast<std::uint32_t>(random() % 4 == 0 ? 0 : 1 + random() % 30'000);
    }
    const std::uint32_t period = stays.back().end_ms + (random() % 2 == 0 ? 1 : static_cast<std::uint32_t>(1 + random() % 20'000));
    const Intervals intervals{stays, period};
    for (int query = 0; query < 1000; ++query) {
      double now = static_cast<double>(random() % (100ull * period)) / 1000;
      if (query % 2 == 0) {  // an edge, in some period
        const Stay& s = stays[random() % stays.size()];
        now = static_cast<double>(random() % 50 * period + (query % 4 == 0 ? s.begin_ms : s.end_ms)) / 1000;
      }
      const bool there = inside(stays, period, now);
      CHECK(intervals.inside(now) == there);
      const auto leaves = intervals.leaves(now), comes = intervals.comes(now);
      REQUIRE(comes);
      CHECK(*comes > now);
      CHECK(*comes <= now + period / 1000.0 * (1 + 1e-12));
      if (!there) {
        CHECK(*leaves == now);
      } else if (leaves) {
        CHECK(*leaves >= now);
        CHECK(inside(stays, period, (now + *leaves) / 2));
        CHECK_FALSE(inside(stays, period, *leaves + 2e-6));
      }
    }
  }
}

TEST_CASE("stays that touch are one, across the end of the period too") {
  const std::vector<Stay> stays{{0, 10'000}, {20'000, 30'000}, {30'000, 40'000}, {90'000, 100'000}};
  const Intervals day{stays, 100'000};
  CHECK(*day.leaves(5) == 10);
  CHECK(*day.leaves(10) == 10);
  CHECK(*day.leaves(10.5) == 10.5);
  CHECK(*day.leaves(25) == 40);
  CHECK(*day.leaves(95) == 110);
  CHECK(*day.leaves(1095) == 1110);
  CHECK(*day.comes(5) == 20);
  CHECK(*day.comes(20) == 30);
  CHECK(*day.comes(95) == 100);
  const std::vector<Stay> whole{{0, 100'000}};
  const Intervals always{whole, 100'000}, none{{}, 0};
  CHECK_FALSE(always.leaves(3));
  CHECK_FALSE(none.leaves(3));
  CHECK_FALSE(none.comes(3));
  CHECK(none.inside(3));
}

TEST_CASE("chance keeps its probabilities, its ends and its promises") {
  constexpr std::int64_t kClients = 100'000;
  const auto share = [](const Presence& p, Seconds now) {
    std::int64_t there = 0;
    for (std::int64_t k = 0; k < kClients; ++k) there += p.there(k, now) ? 1 : 0;
    return static_cast<double>(there) / kClients;
  };
  const auto diurnal = make_presence({"diurnal", 0.5, 600, 1800, 1});
  // Every clock shows any time alike: the mean of 0.05 + 0.35 max(0, sin)^2 is 0.05 + 0.35 / 4.
  for (const Seconds now : {0.0, 5000.0, 43'200.0, 1e6}) CHECK(std::abs(share(*diurnal, now) - 0.1375) < 0.01);
  CHECK(diurnal_share(0) == 0.05);
  CHECK(diurnal_share(21'600) == doctest::Approx(0.4));
  CHECK(diurnal_share(64'800) == 0.05);
  CHECK(std::abs(share(*make_presence({"bernoulli", 0.3, 600, 1800, 1}), 1e5) - 0.3) < 0.01);
  const auto markov = make_presence({"markov", 0.5, 300, 900, 1});
  for (const Seconds now : {0.0, 7777.0, 9600.0, 1e6}) CHECK(std::abs(share(*markov, now) - 0.25) < 0.01);
  double stays = 0;
  std::int64_t there = 0;
  for (std::int64_t k = 0; k < kClients; ++k)
    if (markov->there(k, 4000)) {
      stays += *markov->leaves(k, 4000) - 4000;
      ++there;
    }
  CHECK(stays / static_cast<double>(there) == doctest::Approx(300).epsilon(0.05));  // an exponential length has no memory
  CHECK_FALSE(make_presence({})->leaves(3, 100));
  for (const std::string kind : {"bernoulli", "diurnal", "markov"}) {
    CAPTURE(kind);
    const auto presence = make_presence({kind, 0.5, 600, 1800, 3});
    for (std::int64_t k = 0; k < 2000; ++k) {
      const Seconds now = 12'345.25 + 997.5 * static_cast<double>(k), end = *presence->leaves(k, now), next = *presence->next_change(now);
      if (!presence->there(k, now)) CHECK(end == now);
      else {
        CHECK(presence->there(k, (now + end) / 2));
        CHECK(presence->there(k, end - 0.01));
        CHECK_FALSE(presence->there(k, end));
      }
      CHECK(next > now);
      CHECK(presence->there(k, next - 1e-6) == presence->there(k, now));
    }
  }
  CHECK_THROWS_WITH_AS(make_presence({"sometimes"}), doctest::Contains("known: always bernoulli"), core::Error);
  CHECK_THROWS_AS(make_presence({"bernoulli", 0}), core::Error);
  CHECK_THROWS_AS(make_presence({"markov", 0.5, 0}), core::Error);
}

TEST_CASE("a file of devices is read in columns, and refused by line and field") {
  const ProfileTable table = ProfileTable::parse(
      "{\"id\": 3, \"c_ms\": 30, \"down_kBps\": 500, \"up_kBps\": 250.5, \"mem_MB\": 2048, \"period_s\": 100, \"intervals\": [[1.5, 2], [3, 4]], \"p_fail\": 0.25}\n"
      "\n{\"id\": 7, \"c_ms\": 12, \"down_kBps\": 1, \"up_kBps\": 2}\n",
      "two");
  REQUIRE(table.size() == 2);
  CHECK(table.ms_per_example(0) == 30);
  CHECK(table.down_bytes_per_s(0) == 500e3);
  CHECK(table.up_bytes_per_s(0) == 250.5e3);
  CHECK(table.memory_mb(0) == 2048);
  CHECK(table.failure(0) == 0.25);
  CHECK(table.intervals(0).inside(101.75));
  CHECK_FALSE(table.intervals(0).inside(102.5));
  CHECK(table.intervals(1).inside(102.5));
  CHECK(table.failure(1) == 0);
  const std::string good = "{\"id\": 1, \"c_ms\": 30, \"down_kBps\": 5, \"up_kBps\": 5";
  CHECK(contains(said(good + "}\n" + good + "}\n"), "devices.jsonl: line 2: id is 1, expected one above 1"));
  CHECK(contains(said(good + ", \"speed\": 1}"), "unknown field 'speed'; known: id c_ms"));
  CHECK(contains(said("{\"id\": 1}"), "c_ms is missing"));
  CHECK(contains(said("{\"id\": 1, \"c_ms\": 0}"), "c_ms is 0"));
  CHECK(contains(said(good + ", \"p_fail\": 2}"), "p_fail is 2, expected 0 to 1"));
  CHECK(contains(said(good + ", \"period_s\": 9, \"intervals\": [[0, 10]]}"), "intervals has 10 s, expected 0 to 9"));
  CHECK(contains(said(good + ", \"intervals\": [[0, 0]]}"), "period_s is 0, expected above 0"));
  CHECK(contains(said(good + ", \"period_s\": 9, \"intervals\": [[3, 2]]}"), "holds [3,2]"));
  CHECK(contains(said(good + ", \"period_s\": 9, \"intervals\": [[1, 2], [1, 3]]}"), "holds [1,3] after 2 s, expected ascending times"));
  CHECK(contains(said(good + ", \"period_s\": 9, \"intervals\": [1]}"), "expected pairs"));
  CHECK(contains(said(good + ", \"period_s\": 1e9}"), "period_s has 1000000000 s"));
  CHECK(contains(said("{\"id\": 1"), "devices.jsonl: line 1"));
  CHECK(contains(said(""), "expected a JSON object a line"));
}

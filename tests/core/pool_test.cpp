#include "core/pool.h"

#include <atomic>
#include <numeric>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "core/error.h"

using namespace starling::core;

namespace {

std::vector<int> visits(Pool& pool, std::int64_t count, std::int64_t grain) {
  std::vector<int> seen(static_cast<std::size_t>(count), 0);
  std::atomic<int> misaligned{0};
  pool.parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
    if (begin % grain != 0 || (end != count && end % grain != 0) || begin >= end) ++misaligned;
    for (std::int64_t i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
  });
  CHECK(misaligned == 0);
  return seen;
}

}  // namespace

TEST_CASE("every index is visited once, whatever the thread count, length and grain") {
  for (const int threads : {1, 2, 3, 8}) {
    Pool pool(threads);
    for (const std::int64_t count : {0, 1, 2, 7, 64, 1000})
      for (const std::int64_t grain : {1, 3, 16, 5000})
        CHECK(visits(pool, count, grain) == std::vector<int>(static_cast<std::size_t>(count), 1));
  }
}

TEST_CASE("thousands of short jobs in a row see each other's results, also with more threads than cores") {
  for (const int threads : {2, 16}) {
    Pool pool(threads);
    std::vector<std::int64_t> values(97, 0);
    constexpr std::int64_t kJobs = 3000;
    for (std::int64_t job = 0; job < kJobs; ++job)
      pool.parallel_for(97, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) values[static_cast<std::size_t>(i)] += values[static_cast<std::size_t>(i)] == job;
      });
    CHECK(values == std::vector<std::int64_t>(97, kJobs));
  }
}

TEST_CASE("an exception of a body reaches the caller and the pool goes on") {
  for (const int threads : {1, 2, 5}) {
    Pool pool(threads);
    CHECK_THROWS_WITH_AS(pool.parallel_for(100, 1,
                                           [](std::int64_t begin, std::int64_t end) {
                                             if (begin <= 42 && 42 < end) throw std::runtime_error("index 42");
                                           }),
                         "index 42", std::runtime_error);
    CHECK(visits(pool, 100, 1) == std::vector<int>(100, 1));
  }
}

TEST_CASE("a pool that slept wakes up, and one that never worked ends") {
  { Pool idle(4); }
  Pool pool(3);
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // longer than any spin
    CHECK(visits(pool, 50, 1) == std::vector<int>(50, 1));
  }
}

TEST_CASE("an impossible number of threads is refused by name") {
  CHECK_THROWS_WITH_AS(Pool(0), "threads: 0 is not in 1..1024", Error);
  CHECK_THROWS_AS(Pool(1025), Error);
}

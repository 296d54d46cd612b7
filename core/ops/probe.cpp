#include "core/ops/probe.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <vector>

#include "core/clock.h"
#include "core/error.h"
#include "core/ops/packed_kernels.h"

namespace starling::core {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

double measure_memory(Pool& pool) {
  constexpr std::int64_t kLines = 4 << 20;  // 256 MB: beyond any cache
  constexpr std::int64_t kLanes = 8;        // words of a line
  const std::vector<std::uint64_t> words(static_cast<std::size_t>(kLines * kLanes), 1);
  double best = 0;
  for (int pass = 0; pass < 5; ++pass) {
    const auto start = Clock::now();
    std::atomic<std::uint64_t> total{0};
    pool.parallel_for(kLines, 1 << 14, [&](std::int64_t begin, std::int64_t end) {
      std::uint64_t sums[kLanes] = {};
      for (std::int64_t i = begin * kLanes; i < end * kLanes; i += kLanes)
        for (std::int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += words[static_cast<std::size_t>(i + lane)];
      for (const std::uint64_t sum : sums) total += sum;
    });
    const double seconds = seconds_since(start);
    ensure(total == words.size(), "memory was not read");
    best = std::max(best, static_cast<double>(words.size() * sizeof(std::uint64_t)) / seconds);
  }
  return best;
}

double measure_multiply_adds(Pool& pool) {
  constexpr std::int64_t kCount = std::int64_t{1} << 30;  // a piece: some milliseconds
  double best = 0;
  for (int pass = 0; pass < 5; ++pass) {
    std::atomic<std::int64_t> done{0};
    const auto start = Clock::now();
    pool.parallel_for(pool.threads() * 8, 1, [&](std::int64_t begin, std::int64_t end) {
      done += packed_kernels().multiply_adds((end - begin) * kCount);
    });
    best = std::max(best, static_cast<double>(done) / seconds_since(start));
  }
  return best;
}

}  // namespace starling::core

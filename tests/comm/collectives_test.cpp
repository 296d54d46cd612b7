// Every all-reduce algorithm on every small number of ranks: the exact sum has the bits of a plain sum in double,
// whoever adds in whatever order; the fast sum has the same bits on all ranks; the cost formulas count what the
// links carry.
#include "comm/collective.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include "comm/connect.h"
#include "core/error.h"
#include "tests/comm/groups.h"
#include "tests/run_ranks.h"

namespace starling::tests {
namespace {

using comm::Collective;
using comm::Deadline;
using comm::Scratch;
constexpr auto kLimit = std::chrono::seconds(60);

/// Multiples of 2^-12 below 2^20 in size: sums of a few are exact in double, and F32 has to round them.
std::vector<double> grid_values(std::size_t count, unsigned seed) {
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<std::int64_t> steps(-(std::int64_t{1} << 32), std::int64_t{1} << 32);
  std::vector<double> values(count);
  for (double& v : values) v = std::ldexp(static_cast<double>(steps(random)), -12);
  return values;
}

/// Wide range, so that another order of adding gives other bits.
std::vector<float> rough_values(std::size_t count, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> exponent(-12, 12);
  std::vector<float> values(count);
  for (float& v : values) v = std::ldexp(normal(random), exponent(random));
  return values;
}

std::vector<float> plain_sum(const std::vector<std::vector<double>>& operands) {
  std::vector<float> total(operands.front().size());
  for (std::size_t i = 0; i < total.size(); ++i) {
    double sum = 0;
    for (const auto& operand : operands) sum += operand[i];
    total[i] = static_cast<float>(sum);
  }
  return total;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

/// A piece of 1 kB makes 1000 elements an operand of several pieces, the last one short.
Scratch small_pieces() {
  Scratch scratch;
  scratch.segment_bytes_max = 1024;
  return scratch;
}

std::vector<float> exact_on(Transport& t, const Collective& c, std::vector<double> parts, Scratch scratch = {}) {
  std::vector<float> total(parts.size(), -1.0f);
  c.sum_exact(t, scratch, parts, total, comm::after(kLimit));
  return total;
}

}  // namespace

TEST_CASE("the exact sum has the bits of the plain sum for every algorithm, number of ranks and length") {
  for (Rank n = 1; n <= 9; ++n) {
    std::vector<std::vector<std::vector<double>>> operands;  // [length][rank]
    std::vector<std::vector<float>> wanted;
    const std::vector<std::size_t> lengths{0, 1, 7, 1000};
    for (const std::size_t length : lengths) {
      operands.emplace_back();
      for (Rank rank = 0; rank < n; ++rank) operands.back().push_back(grid_values(length, static_cast<unsigned>(rank) + 1));
      wanted.push_back(plain_sum(operands.back()));
    }
    run_ranks(n, [&](Transport& t) {
      for (const Collective& c : comm::collectives()) {
        for (std::size_t l = 0; l < lengths.size(); ++l) {
          INFO(c.name, " on ", n, " ranks, ", lengths[l], " elements");
          // The ranks' operands in another order must not matter.
          for (Rank shift = 0; shift < std::min(n, 3); ++shift) {
            const auto own = static_cast<std::size_t>((t.rank() * (n == 1 ? 1 : n - 1) + shift) % n);
            CHECK(same_bits(exact_on(t, c, operands[l][own]), wanted[l]));
          }
          CHECK(same_bits(exact_on(t, c, operands[l][static_cast<std::size_t>(t.rank())], small_pieces()), wanted[l]));
        }
      }
    });
  }
}

TEST_CASE("a plain F32 sum of the same operands does depend on the order, so the test above can fail") {
  const std::vector<float> a = rough_values(1000, 1), b = rough_values(1000, 2), c = rough_values(1000, 3);
  int different = 0;
  for (std::size_t i = 0; i < a.size(); ++i) different += (a[i] + b[i]) + c[i] != a[i] + (b[i] + c[i]);
  CHECK(different > 100);
}

TEST_CASE("the fast sum has the same bits on all ranks and in every run") {
  for (Rank n = 1; n <= 9; ++n) {
    for (const Collective& c : comm::collectives()) {
      for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
        INFO(c.name, " on ", n, " ranks, ", length, " elements");
        std::vector<std::vector<float>> results(static_cast<std::size_t>(2 * n));
        run_ranks(n, [&](Transport& t) {
          for (int run = 0; run < 2; ++run) {
            Scratch scratch = small_pieces();
            std::vector<float> values = rough_values(length, static_cast<unsigned>(t.rank()) + 1);
            c.sum_fast(t, scratch, values, comm::after(kLimit));
            results[static_cast<std::size_t>(run * n + t.rank())] = values;
          }
        });
        for (const auto& result : results) CHECK(same_bits(result, results.front()));
        for (std::size_t i = 0; i < length; ++i) {
          double sum = 0, size = 0;
          for (Rank rank = 0; rank < n; ++rank) {
            const double v = static_cast<double>(rough_values(length, static_cast<unsigned>(rank) + 1)[i]);
            sum += v;
            size += std::abs(v);
            if (length == 1000 && i > 5) break;  // a few suffice at this length
          }
          if (length == 1000 && i > 5) break;
          CHECK(std::abs(static_cast<double>(results.front()[i]) - sum) <= 1e-6 * size);
        }
      }
    }
  }
}

TEST_CASE("star and exchange add in rank order") {
  constexpr Rank kRanks = 5;
  std::vector<float> wanted = rough_values(333, 1);
  for (Rank rank = 1; rank < kRanks; ++rank) {
    const std::vector<float> next = rough_values(333, static_cast<unsigned>(rank) + 1);
    for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] += next[i];
  }
  run_ranks(kRanks, [&](Transport& t) {
    for (const char* name : {"star", "exchange"}) {
      Scratch scratch;
      std::vector<float> values = rough_values(333, static_cast<unsigned>(t.rank()) + 1);
      comm::collective(name).sum_fast(t, scratch, values, comm::after(kLimit));
      CHECK(same_bits(values, wanted));
    }
  });
}

TEST_CASE("operands longer than what a peer may queue are reduced piece by piece") {
  comm::Limits limits;
  limits.queue_bytes_max = 256 << 10;
  constexpr std::size_t kLength = 200'000;  // 1.6 MB of doubles
  std::vector<std::vector<double>> operands;
  for (unsigned rank = 0; rank < 4; ++rank) operands.push_back(grid_values(kLength, rank + 1));
  const std::vector<float> wanted = plain_sum(operands);
  run_ranks(
      4,
      [&](Transport& t) {
        for (const Collective& c : comm::collectives()) {
          INFO(c.name);
          Scratch scratch;
          scratch.segment_bytes_max = 64 << 10;
          CHECK(same_bits(exact_on(t, c, operands[static_cast<std::size_t>(t.rank())], scratch), wanted));
        }
      },
      limits);
}

TEST_CASE("over TCP every algorithm gives the same bits, for rows and for long operands") {
  for (const Rank n : {2, 3, 5}) {
    SocketGroup group = socket_group("tcp", n);
    for (const std::size_t length : {std::size_t{1}, std::size_t{2048}, std::size_t{600'000}}) {
      std::vector<std::vector<double>> operands;
      for (Rank rank = 0; rank < n; ++rank) operands.push_back(grid_values(length, static_cast<unsigned>(rank) + 1));
      const std::vector<float> wanted = plain_sum(operands);
      check_no_failures(run_ranks_collect(group.ranks, [&](Transport& t) {
        for (const Collective& c : comm::collectives()) {
          INFO(c.name, " on ", n, " ranks, ", length, " elements");
          CHECK(same_bits(exact_on(t, c, operands[static_cast<std::size_t>(t.rank())]), wanted));
        }
      }));
    }
  }
}

TEST_CASE("the cost formulas count the messages and bytes that the links carry") {
  constexpr std::size_t kLength = 5040;  // divisible by 2..9, so that slices are equal
  for (Rank n = 2; n <= 9; ++n) {
    for (const Collective& c : comm::collectives()) {
      for (const core::Sum sum : {core::Sum::exact, core::Sum::fast}) {
        std::mutex mutex;
        double messages = 0, bytes = 0;
        auto ranks = comm::inproc_group(n);
        check_no_failures(run_ranks_collect(ranks, [&](Transport& t) {
          Scratch scratch;
          if (sum == core::Sum::exact) {
            exact_on(t, c, grid_values(kLength, 1));
          } else {
            std::vector<float> values = rough_values(kLength, 1);
            c.sum_fast(t, scratch, values, comm::after(kLimit));
          }
          const std::lock_guard lock(mutex);
          for (Rank peer = 0; peer < n; ++peer) {
            if (peer == t.rank()) continue;
            const comm::Counters counted = t.counters(peer);
            messages += static_cast<double>(counted.frames_sent);
            bytes += static_cast<double>(counted.bytes_sent - counted.frames_sent * comm::kHeaderBytes);
          }
        }));
        const comm::Work work = c.work(n, comm::Payload::of(kLength, sum));
        INFO(c.name, " on ", n, " ranks, sum ", sum == core::Sum::exact ? "exact" : "fast");
        CHECK(messages == doctest::Approx(work.all_messages));
        CHECK(bytes == doctest::Approx(work.all_bytes));
      }
    }
  }
}

TEST_CASE("predicted times follow the table of TPI-LLM section 4") {
  // 8 ranks, 5 ms, 300 Mbit/s, 8 KB of F32: latency counts, so star beats tree beats ring.
  const comm::LinkCost link{.latency_s = 5e-3, .bytes_per_s = 300e6 / 8, .message_cpu_s = 5e-6};
  const auto seconds = [&](const char* name, std::size_t elements, const comm::LinkCost& l) {
    return comm::cost(comm::collective(name), l, 8, comm::Payload::of(elements, core::Sum::fast));
  };
  CHECK(seconds("star", 2048, link) == doctest::Approx(2 * 5e-3 + 14 * 8192 / 37.5e6).epsilon(0.01));
  CHECK(seconds("ring", 2048, link) == doctest::Approx(14 * 5e-3 + 14.0 / 8 * 8192 / 37.5e6).epsilon(0.01));
  CHECK(seconds("tree", 2048, link) == doctest::Approx(6 * 5e-3 + 6 * 8192 / 37.5e6).epsilon(0.01));
  CHECK(seconds("direct", 2048, link) == doctest::Approx(2 * 5e-3 + 14.0 / 8 * 8192 / 37.5e6).epsilon(0.02));
  CHECK(seconds("exchange", 2048, link) == doctest::Approx(5e-3 + 7 * 8192 / 37.5e6).epsilon(0.01));
  // Star beats ring below B tau (n - 2) n / (n - 1)^2: about 36 KB at 1 ms.
  const comm::LinkCost near{.latency_s = 1e-3, .bytes_per_s = 300e6 / 8, .message_cpu_s = 0, .sum_bytes_per_s = 1e15};
  const double crossing = 37.5e6 * 1e-3 * 6 * 8 / 49;
  const auto below = static_cast<std::size_t>(crossing * 0.95 / 4), above = static_cast<std::size_t>(crossing * 1.05 / 4);
  CHECK(seconds("star", below, near) < seconds("ring", below, near));
  CHECK(seconds("star", above, near) > seconds("ring", above, near));
  // Ranks that share cores pay for everybody's messages.
  comm::LinkCost crowded{.latency_s = 0, .message_cpu_s = 5e-6};
  crowded.ranks_per_core = 4;
  CHECK(seconds("exchange", 1, crowded) > 3 * seconds("star", 1, crowded));
}

TEST_CASE("an unknown algorithm is refused with the list of known ones") {
  try {
    comm::collective("butterfly");
    FAIL("no error");
  } catch (const core::Error& error) {
    CHECK(error.kind() == core::Kind::usage);
    CHECK(std::string(error.what()) ==
          "unknown all-reduce algorithm 'butterfly'; known: star, exchange, ring, tree, direct");
  }
}

TEST_CASE("ranks that disagree about the length end with an error that names the peer") {
  auto ranks = comm::inproc_group(2);
  const Failures failures = run_ranks_collect(ranks, [](Transport& t) {
    Scratch scratch;
    std::vector<float> values(t.rank() == 0 ? 8 : 9, 1.0f);
    comm::collective("star").sum_fast(t, scratch, values, comm::after(kLimit));
  });
  CHECK(text_of(failures[0]).find("rank 1") != std::string::npos);
  CHECK(text_of(failures[0]).find("36 bytes") != std::string::npos);
}

TEST_CASE("broadcast, gather, scatter and barrier work from every root on every number of ranks") {
  for (Rank n = 1; n <= 9; ++n) {
    std::atomic<int> entered{0};
    run_ranks(n, [&](Transport& t) {
      const auto size = static_cast<std::size_t>(n);
      for (Rank root = 0; root < n; ++root) {
        std::vector<std::byte> data(301, t.rank() == root ? std::byte{0x5a} : std::byte{0});
        comm::broadcast(t, root, data, comm::after(kLimit));
        CHECK(std::all_of(data.begin(), data.end(), [](std::byte b) { return b == std::byte{0x5a}; }));

        const std::vector<std::byte> part(3, static_cast<std::byte>(t.rank() + 1));
        std::vector<std::byte> all(t.rank() == root ? 3 * size : 0);
        comm::gather(t, root, part, all, comm::after(kLimit));
        for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i] == static_cast<std::byte>(i / 3 + 1));

        std::vector<std::byte> back(3);
        comm::scatter(t, root, all, back, comm::after(kLimit));
        CHECK(back == part);
      }
      for (int round = 1; round <= 3; ++round) {
        ++entered;
        comm::barrier(t, comm::after(kLimit));
        CHECK(entered.load() >= round * n);
        comm::barrier(t, comm::after(kLimit));
      }
    });
  }
}

}  // namespace starling::tests

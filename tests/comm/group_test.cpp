// The group that model code sees: sums, choice by size, statistics.
#include "comm/group.h"

#include <cstring>

#include <doctest/doctest.h>

#include "core/error.h"
#include "tests/run_ranks.h"

namespace starling::tests {

using comm::TransportGroup;

TEST_CASE("a group adds over its ranks, exactly and fast, and counts what it did") {
  for (const char* algorithm : {"star", "exchange", "ring", "tree", "direct", "auto"}) {
    for (Rank n = 1; n <= 4; ++n) {
      INFO(algorithm, " on ", n, " ranks");
      run_ranks(n, [&](Transport& t) {
        TransportGroup group(t, algorithm, core::Sum::exact, 16, 8);
        CHECK(group.rank() == t.rank());
        CHECK(group.size() == n);
        for (const std::size_t elements : {std::size_t{16}, std::size_t{128}, std::size_t{40}}) {
          std::vector<double> parts(elements, t.rank() + 0.5);
          std::vector<float> total(elements);
          group.all_reduce(parts, total);
          for (const float v : total) CHECK(v == static_cast<float>(n * (n - 1) / 2) + 0.5f * static_cast<float>(n));
          std::vector<float> plain(elements, 2.0f);
          group.all_reduce(plain);
          for (const float v : plain) CHECK(v == 2.0f * static_cast<float>(n));
        }
        const comm::AllReduceUse all = group.overall();
        CHECK(all.count == 6);
        CHECK(all.operand_bytes == (16 + 128 + 40) * 12);
        CHECK(all.median_us <= all.p99_us);
        CHECK(all.p99_us / 1000 <= group.wait_ms() * 1.02 + 1e-3);
        if (std::string(algorithm) != "auto") CHECK(all.algorithm == algorithm);
        CHECK(group.selection().measured == (std::string(algorithm) == "auto" && n > 1));
      });
    }
  }
}

TEST_CASE("a group refuses an unknown algorithm by name") {
  run_ranks(1, [](Transport& t) {
    CHECK_THROWS_WITH_AS(TransportGroup(t, "fastest", core::Sum::fast, 8, 1),
                         "unknown all-reduce algorithm 'fastest'; known: star, exchange, ring, tree, direct", core::Error);
  });
}

}  // namespace starling::tests

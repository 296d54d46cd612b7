// The largest of blocks of 2x2, against plain loops, on every instruction set of this machine.
#include <random>
#include <vector>

#include <doctest/doctest.h>

#include "core/arena.h"
#include "core/ops/max_pool.h"
#include "tests/oracle/targets.h"

using namespace starling;

TEST_CASE("the largest of every block is found, the first of equals, and its gradient goes back there alone") {
  std::mt19937 random(1);
  for (const std::int64_t target : tests::all_targets()) {
    const tests::OnlyTargets only(target);
    CAPTURE(hwy::TargetName(target));
    for (const std::size_t rows : {1, 2, 14, 33})
      for (const std::size_t columns : {1, 3, 4, 7, 14, 16, 37}) {
        CAPTURE(rows);
        CAPTURE(columns);
        const std::size_t slack = core::Arena::kSlackFloats, outputs = rows * columns;
        std::vector<float> x(4 * outputs + slack, 9.0f), y(outputs + 1, -1.0f), which(outputs + slack, 7.0f);
        std::vector<float> dy(outputs + slack, 9.0f), dx(4 * outputs + 1, -1.0f);
        for (std::size_t i = 0; i < 4 * outputs; ++i) x[i] = static_cast<float>(static_cast<int>(random() % 5) - 2);  // many are equal
        for (std::size_t i = 0; i < outputs; ++i) dy[i] = static_cast<float>(i + 1);
        core::max_pool_blocks(x.data(), static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns), y.data(), which.data());
        core::max_pool_blocks_backward(dy.data(), which.data(), static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns), dx.data());
        std::vector<float> expected(outputs + 1, -1.0f), expected_dx(4 * outputs + 1, 0.0f);
        expected_dx.back() = -1.0f;  // nothing is written beyond the end
        for (std::size_t r = 0; r < rows; ++r)
          for (std::size_t c = 0; c < columns; ++c) {
            std::size_t best = 4 * r * columns + 2 * c;
            for (const std::size_t at : {best + 1, best + 2 * columns, best + 2 * columns + 1}) best = x[at] > x[best] ? at : best;
            expected[r * columns + c] = x[best];
            expected_dx[best] = dy[r * columns + c];
          }
        CHECK(y == expected);
        CHECK(dx == expected_dx);
      }
  }
}

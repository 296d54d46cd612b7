#include "comm/histogram.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <doctest/doctest.h>

namespace starling::tests {

TEST_CASE("quantiles of the histogram are those of the sorted durations, within a bucket's width") {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> us(3, 1.5);
  comm::Histogram histogram;
  std::vector<double> sorted;
  for (int i = 0; i < 20'001; ++i) {
    const auto ns = std::chrono::nanoseconds(static_cast<std::int64_t>(us(random) * 1000));
    histogram.add(ns);
    sorted.push_back(static_cast<double>(ns.count()) / 1000);
  }
  std::sort(sorted.begin(), sorted.end());
  for (const double q : {0.0, 0.1, 0.5, 0.9, 0.99, 0.999})
    CHECK(histogram.quantile_us(q) == doctest::Approx(sorted[static_cast<std::size_t>(q * 20'001)]).epsilon(0.016));
  CHECK(histogram.count() == 20'001);
}

TEST_CASE("an empty histogram has no quantiles, and durations without bound are kept in its last bucket") {
  comm::Histogram histogram;
  CHECK(histogram.quantile_us(0.5) == 0);
  histogram.add(std::chrono::nanoseconds(-5));
  CHECK(histogram.quantile_us(0.5) == 0);
  comm::Histogram other;
  other.add(std::chrono::hours(1000));
  CHECK(other.quantile_us(0.5) > 1e9);
  histogram.merge(other);
  CHECK(histogram.count() == 2);
  CHECK(histogram.quantile_us(0.99) > 1e9);
}

}  // namespace starling::tests

// Robust rules against hand-made cases and properties that attackers would break.
#include "federated/robust.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <doctest/doctest.h>

#include "core/error.h"

using namespace starling;
using namespace starling::federated;

namespace {

struct Set {
  explicit Set(std::vector<std::vector<float>> v) : values(std::move(v)) {
    for (const auto& one : values) spans.emplace_back(one);
  }
  std::vector<std::vector<float>> values;
  std::vector<std::span<const float>> spans;
};

Set scalars(const std::vector<float>& numbers) {
  std::vector<std::vector<float>> v;
  for (const float n : numbers) v.push_back({n});
  return Set(std::move(v));
}

}  // namespace

TEST_CASE("median and trimmed mean of small lists") {
  const Set seven = scalars({1, 2, 3, 4, 5, 6, 1000});
  CHECK(median(seven.spans).front() == 4);
  CHECK(trimmed_mean(seven.spans, 0.2).front() == 4);
  CHECK(trimmed_mean(seven.spans, 0.3).front() == 4);
  CHECK(median(scalars({1, 2, 3, 10}).spans).front() == 2.5f);
  CHECK(trimmed_mean(scalars({3, 9}).spans, 0.0).front() == 6);
  CHECK_THROWS_AS(trimmed_mean(seven.spans, 0.5), core::Error);
}

TEST_CASE("Krum picks the update with the nearest neighbours, ties by order") {
  const Set set = scalars({0, 0.1f, 0.2f, 0.3f, 10, 11, 12});
  const auto scores = krum_scores(set.spans, 2);
  CHECK(scores[0] == doctest::Approx(0.14));
  CHECK(scores[1] == doctest::Approx(0.06));
  CHECK(scores[2] == doctest::Approx(0.06));
  CHECK(scores[3] == doctest::Approx(0.14));
  // The two middle ones tie but for the rounding of 0.1f and 0.2f.
  const auto best = krum_select(set.spans, 2, 4);
  CHECK((best[0] == 1 || best[0] == 2));
  std::vector<std::size_t> sorted(best);
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == std::vector<std::size_t>{0, 1, 2, 3});
  const Set tie = scalars({0, 1, 2, 3, 4, 5, 6});
  CHECK(krum_select(tie.spans, 1, 1).front() == 2);  // 2, 3 and 4 have equal scores
  CHECK_THROWS_AS(krum_select(scalars({1, 2, 3, 4}).spans, 1, 1), core::Error);
}

TEST_CASE("equal updates come back bit for bit from every rule") {
  const std::vector<float> one{0.1f, -3.7f, 1e-20f, 5e8f};
  const Set set(std::vector<std::vector<float>>(11, one));
  CHECK(median(set.spans) == one);
  CHECK(trimmed_mean(set.spans, 0.2) == one);
  CHECK(bulyan(set.spans, 2, BulyanSelection::iterative) == one);
  CHECK(bulyan(set.spans, 2, BulyanSelection::oneshot) == one);
  CHECK(krum_select(set.spans, 2, 1).front() == 0);
}

TEST_CASE("Bulyan stays within the honest range whatever two of eleven send") {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (int round = 0; round < 1000; ++round) {
    std::vector<std::vector<float>> v;
    std::vector<float> low(4, 1e30f), high(4, -1e30f);
    for (int k = 0; k < 9; ++k) {
      v.push_back({normal(random), normal(random), normal(random), normal(random)});
      for (std::size_t i = 0; i < 4; ++i) {
        low[i] = std::min(low[i], v.back()[i]);
        high[i] = std::max(high[i], v.back()[i]);
      }
    }
    v.push_back(std::vector<float>(4, 1e6f));
    v.push_back(std::vector<float>(4, round % 2 == 0 ? -1e6f : 1e6f));
    std::shuffle(v.begin(), v.end(), random);
    for (const auto selection : {BulyanSelection::iterative, BulyanSelection::oneshot}) {
      const auto result = bulyan(Set(v).spans, 2, selection);
      bool inside = true;
      for (std::size_t i = 0; i < 4; ++i) inside = inside && result[i] >= low[i] && result[i] <= high[i];
      CHECK(inside);
    }
  }
  CHECK_THROWS_AS(bulyan(scalars({1, 2, 3, 4, 5, 6}).spans, 1, BulyanSelection::iterative), core::Error);
}

TEST_CASE("distances of updates that lie close together keep their digits") {
  std::mt19937 random(9);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> v(3, std::vector<float>(10000));
  for (auto& one : v)
    for (std::size_t i = 0; i < one.size(); ++i) one[i] = 1e-5f * normal(random);
  const Set set(v);
  const auto found = squared_distances(set.spans);
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) {
      long double sum = 0;
      for (std::size_t k = 0; k < v[i].size(); ++k) {
        const long double d = static_cast<long double>(v[i][k]) - static_cast<long double>(v[j][k]);
        sum += d * d;
      }
      CHECK(found[i * 3 + j] == doctest::Approx(static_cast<double>(sum)).epsilon(1e-12));
    }
}

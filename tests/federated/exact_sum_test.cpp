// Weighted sums: exact, and the same whatever the order and the tree.
#include "federated/exact_sum.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <doctest/doctest.h>

#include "core/error.h"

using namespace starling;
using federated::ExactSum;

namespace {

std::vector<float> numbers(std::size_t n, unsigned seed, float scale) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(n);
  for (float& v : values) v = normal(random);
  return values;
}

}  // namespace

TEST_CASE("one client's model comes back to the last bit") {
  std::vector<float> y = numbers(20000, 1, 1.0f);
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = std::ldexp(y[i], -static_cast<int>(i % 24));
  for (const double weight : {1.0, 600.0, 0.7071067811865476, 12345.678}) {
    ExactSum sum(y.size());
    sum.add(y, weight);
    bool same = true;
    for (std::size_t i = 0; i < y.size(); ++i)
      same = same && (static_cast<float>(sum.mean(i)) == y[i] || std::abs(y[i]) < 0x1p-28f);
    CHECK(same);
    CHECK(sum.weight() == doctest::Approx(weight).epsilon(1e-7));
  }
}

TEST_CASE("the largest and the smallest values and weights are exact, and opposites cancel") {
  std::vector<float> y{65535.996f, 32768.0f, 1.0f, 0x1.fffffep-24f, 0x1p-24f, 0x1.fffffep-25f, 0x1p-25f, 0x1.000002p-28f, 0.0f};
  for (std::size_t i = 0, n = y.size(); i < n; ++i) y.push_back(-y[i]);
  for (const double weight : {0x1p-24, 1.0, 3.0, 16777215.99999994}) {
    CAPTURE(weight);
    ExactSum sum(y.size());
    sum.add(y, weight);
    for (std::size_t i = 0; i < y.size(); ++i) {
      CHECK(static_cast<float>(sum.mean(i)) == y[i]);
      CHECK(sum.sum(i) == doctest::Approx(static_cast<double>(y[i]) * weight).epsilon(1e-15));
    }
    std::rotate(y.begin(), y.begin() + static_cast<std::ptrdiff_t>(y.size() / 2), y.end());
    sum.add(y, weight);
    for (std::size_t i = 0; i < y.size(); ++i) CHECK(sum.sum(i) == 0);
  }
}

TEST_CASE("order and tree of the sum change no bit, and the sum is right") {
  constexpr std::size_t kSize = 500, kClients = 200;
  std::vector<std::vector<float>> updates;
  std::vector<double> weights;
  for (unsigned k = 0; k < kClients; ++k) {
    updates.push_back(numbers(kSize, k, k % 7 == 0 ? 100.0f : 1e-3f));
    weights.push_back(static_cast<double>(1 + k * 37 % 900));
  }
  std::vector<std::size_t> order(kClients);
  for (std::size_t k = 0; k < kClients; ++k) order[k] = k;
  ExactSum first(kSize);
  for (const std::size_t k : order) first.add(updates[k], weights[k]);
  std::mt19937 random(5);
  for (int round = 0; round < 20; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    std::vector<ExactSum> parts(4, ExactSum(kSize));
    for (const std::size_t k : order) parts[random() % 4].add(updates[k], weights[k]);
    parts[2].merge(parts[0]);
    parts[3].merge(parts[2]);
    parts[1].merge(parts[3]);
    bool same = true;
    for (std::size_t i = 0; i < kSize; ++i) same = same && parts[1].mean(i) == first.mean(i);
    CHECK(same);
  }
  for (std::size_t i = 0; i < kSize; ++i) {
    long double sum = 0, weight = 0;
    for (std::size_t k = 0; k < kClients; ++k) {
      sum += static_cast<long double>(updates[k][i]) * static_cast<long double>(weights[k]);
      weight += static_cast<long double>(weights[k]);
    }
    CHECK(first.mean(i) == doctest::Approx(static_cast<double>(sum / weight)).epsilon(1e-12));
    CHECK(first.sum(i) == doctest::Approx(static_cast<double>(sum)).epsilon(1e-12));
  }
}

TEST_CASE("what cannot be added is refused and leaves the sum as it was") {
  ExactSum sum(3);
  sum.add(std::vector<float>{1, 2, 3}, 2);
  const auto refused = [&](std::vector<float> values, double weight) { CHECK_THROWS_AS(sum.add(values, weight), core::Error); };
  refused({1, 2}, 1);
  refused({1, NAN, 2}, 1);
  refused({1, 2, INFINITY}, 1);
  refused({1, 2, 1e6f}, 1);
  refused({1, 2, 3}, -1);
  refused({1, 2, 3}, NAN);
  refused({1, 2, 3}, 1e9);
  CHECK(sum.mean(0) == 1);
  CHECK(sum.mean(2) == 3);
  CHECK(sum.weight() == 2);
  sum.clear();
  sum.add(std::vector<float>{-1.5f, 0, 1e-40f}, 3);
  CHECK(sum.mean(0) == -1.5);
  CHECK(std::abs(sum.mean(2)) < 1e-15);
}

TEST_CASE("values of every size are added as the whole numbers they are") {
  for (int exponent = -149; exponent < 16; ++exponent)
    for (const float mantissa : {1.0f, 1.9999999f, 1.3333334f})
      for (const float sign : {1.0f, -1.0f}) {
        const float value = sign * std::ldexp(mantissa, exponent);
        CAPTURE(value);
        ExactSum sum(1);
        sum.add({&value, 1}, 5);
        sum.add({&value, 1}, 0.25);
        // Exact from 2^-30 on, where the last bit of a float is a whole number of units; half a unit of each product below.
        const double expected = 5.25 * static_cast<double>(value);
        CHECK(std::abs(sum.sum(0) - expected) <= (exponent >= -30 ? 0 : std::ldexp(1.0, -ExactSum::kValueBits - ExactSum::kWeightBits)));
      }
}

// Norms, rotary embedding and SwiGLU against plain versions, with the same bits on every instruction set.
#include <cmath>
#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include "core/ops/norm.h"
#include "core/ops/rope.h"
#include "core/ops/swiglu.h"
#include "tests/oracle/lanes.h"
#include "tests/oracle/random.h"
#include "tests/oracle/same_bits.h"

using namespace starling::core;
using namespace starling::tests;

namespace {

std::vector<float> silu_of(const std::vector<float>& x, int threads = 1) {
  Pool pool(threads);
  std::vector<float> gate = x;
  swiglu(gate, std::vector<float>(x.size(), 1.0f), pool);
  return gate;
}

}  // namespace

TEST_CASE("rms_norm has the bits of sixteen plain lanes, for any width, number of rows and threads, also in place") {
  for (const std::size_t n : {1, 15, 16, 64, 100, 2048})
    for (const std::int64_t rows : {1, 3, 40}) {
      const auto x = random_floats(n * static_cast<std::size_t>(rows), 1, 3.0f);
      const auto gain = random_floats(n, 2);
      std::vector<float> expected;
      for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
        const auto row = std::span(x).subspan(r * n, n);
        const float scale = 1.0f / std::sqrt(lane_dot(row, row) / static_cast<float>(n) + 1e-5f);
        for (std::size_t i = 0; i < n; ++i) expected.push_back(row[i] * scale * gain[i]);
      }
      for (const int threads : {1, 3}) {
        Pool pool(threads);
        const auto got = same_on_all_targets([&] {
          std::vector<float> y = x;
          rms_norm(y, rows, gain, 1e-5f, y, pool);
          return y;
        });
        CHECK(got == expected);
      }
    }
}

TEST_CASE("silu is within a few units in the last place of its definition, with the same bits on all targets") {
  std::vector<float> x;
  for (float v = -100; v <= 100; v += 0.00731f) x.push_back(v);
  const auto y = same_on_all_targets([&] { return silu_of(x); });
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double exact = static_cast<double>(x[i]) / (1 + std::exp(-static_cast<double>(x[i])));
    CAPTURE(x[i]);
    if (x[i] > -87) CHECK(std::abs(y[i] - exact) <= 4e-7 * std::abs(exact));
    else CHECK(std::abs(y[i]) <= 1e-35);
  }
  CHECK(silu_of(x, 3) == y);
}

TEST_CASE("silu of the extremes: large values pass, small ones vanish, NaN stays") {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto y = silu_of({0.0f, 1e30f, -1e30f, 3.4e38f, infinity, std::nanf("")});
  CHECK(y[0] == 0.0f);
  CHECK(y[1] == 1e30f);
  CHECK(y[2] == 0.0f);
  CHECK(y[3] == 3.4e38f);
  CHECK(y[4] == infinity);
  CHECK(std::isnan(y[5]));
}

TEST_CASE("the gate multiplies the upper projection, tails included") {
  Pool pool(1);
  for (const std::size_t n : {1, 7, 16, 33}) {
    std::vector<float> gate(n, 2.0f), up = random_floats(n, 3);
    swiglu(gate, up, pool);
    const float silu = silu_of({2.0f})[0];
    for (std::size_t i = 0; i < n; ++i) CHECK(gate[i] == silu * up[i]);
  }
}

TEST_CASE("rotary frequencies equal the published values and pow()") {
  struct Golden { float base; std::int64_t pair; double theta; };
  for (const Golden& g : {Golden{1e4f, 1, 0.865964323}, {1e4f, 31, 0.0115478198}, {1e4f, 63, 0.000115478198},
                          {5e5f, 1, 0.814617234}, {5e5f, 63, 2.45514079e-06}, {1e6f, 2, 0.649381632}, {1e6f, 63, 1.24093776e-06}})
    CHECK(rope_frequencies(128, g.base, {})[static_cast<std::size_t>(g.pair)] == doctest::Approx(g.theta).epsilon(1e-8));
  for (const float base : {1.0f, 10000.0f, 500000.0f, 1e6f, 12345.678f})
    for (const std::int64_t size : {2, 16, 80, 128}) {
      const auto f = rope_frequencies(size, base, {});
      for (std::size_t p = 0; p < f.size(); ++p) {
        const double exact = std::pow(static_cast<double>(base), -2.0 * static_cast<double>(p) / static_cast<double>(size));
        CHECK(std::abs(f[p] - exact) <= 1e-14 * exact);
      }
    }
}

TEST_CASE("rotary sines and cosines are the rounded true ones up to position 100000, and divisors divide the angle") {
  const std::vector<double> divisors = {1, 1, 2.5, 8};
  for (const auto& d : {std::vector<double>{}, divisors}) {
    const auto f = rope_frequencies(8, 10000.0f, d);
    for (const std::int64_t first : {0, 1000, 99990}) {
      std::vector<float> cosine(10 * f.size()), sine(cosine.size());
      rope_table(f, first, 10, cosine, sine);
      for (std::size_t i = 0; i < cosine.size(); ++i) {
        const double angle = static_cast<double>(first + static_cast<std::int64_t>(i / f.size())) * f[i % f.size()];
        CHECK(std::abs(cosine[i] - std::cos(angle)) <= 3.1e-8);
        CHECK(std::abs(sine[i] - std::sin(angle)) <= 3.1e-8);
      }
    }
    if (!d.empty()) CHECK(f[3] == rope_frequencies(8, 10000.0f, {})[3] / 8);
  }
  std::vector<float> cosine(64), sine(64);  // published: position 7, base 1e4, 64 pairs
  rope_table(rope_frequencies(128, 10000.0f, {}), 7, 1, cosine, sine);
  CHECK(std::abs(cosine[1] - 0.9755833f) < 1e-7);
  CHECK(std::abs(sine[1] + 0.2196299f) < 1e-7);
  CHECK(std::abs(cosine[2] - 0.5114493f) < 1e-7);
  CHECK(std::abs(sine[31] - 0.0807467f) < 1e-7);
}

TEST_CASE("a rotation turns interleaved pairs of every head of a row by that row's angle") {
  std::vector<float> x(2 * 3 * 4);  // rows, heads, head size
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i + 1);
  const std::vector<float> before = x;
  const std::vector<float> cosine = {1, 0.6f, 0, -1}, sine = {0, 0.8f, 1, 0};  // two rows of two pairs
  rope(x, 2, 3, {4, 2}, cosine, sine);
  for (std::size_t i = 0; i < x.size(); i += 2) {
    const std::size_t row = i / 12, pair = i / 2 % 2;
    const float c = cosine[row * 2 + pair], s = sine[row * 2 + pair];
    CHECK(x[i] == before[i] * c - before[i + 1] * s);
    CHECK(x[i + 1] == before[i] * s + before[i + 1] * c);
  }
}

TEST_CASE("rotating halves gives the bits of rotating interleaved pairs whose values lie otherwise, the rest of a head stays") {
  constexpr std::int64_t kRows = 3, kHeads = 2, kSize = 10, kPairs = 4;
  std::vector<float> cosine(kRows * kPairs), sine(cosine.size());
  rope_table(rope_frequencies(2 * kPairs, 10000.0f, {}), 1000, kRows, cosine, sine);
  std::vector<float> halves(kRows * kHeads * kSize), interleaved(halves.size());
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<float>(i * 37 % 101) / 64 - 0.7f;
  const auto place = [](std::size_t i) {  // of value i of the halves among interleaved ones
    const std::size_t within = i % kSize;
    return within >= 2 * kPairs ? i : i - within + within % kPairs * 2 + within / kPairs;
  };
  for (std::size_t i = 0; i < halves.size(); ++i) interleaved[place(i)] = halves[i];
  const std::vector<float> before = halves;
  rope(halves, kRows, kHeads, {kSize, kPairs, Pairing::halves}, cosine, sine);
  rope(interleaved, kRows, kHeads, {kSize, kPairs, Pairing::interleaved}, cosine, sine);
  for (std::size_t i = 0; i < halves.size(); ++i) {
    CHECK(halves[i] == interleaved[place(i)]);
    if (i % kSize >= 2 * kPairs) CHECK(halves[i] == before[i]);
  }
}

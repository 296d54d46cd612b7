// Moments, normalisation and its gradients: the bits of sixteen plain lanes on every instruction set.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/ops/moments.h"
#include "tests/oracle/random.h"
#include "tests/oracle/same_bits.h"

using namespace starling::core;
using namespace starling::tests;

namespace {

/// Sixteen lanes of doubles that runs are added to, each from lane 0.
struct Lanes {
  std::array<double, 16> lane{};
  double sum() const {
    std::array<double, 4> f{};
    for (std::size_t l = 0; l < 4; ++l) f[l] = (lane[l] + lane[l + 8]) + (lane[l + 4] + lane[l + 12]);
    return (f[0] + f[2]) + (f[1] + f[3]);
  }
};

template <class Visit>
void each(const Runs& runs, Visit visit) {
  for (std::int64_t r = 0; r < runs.count; ++r)
    for (std::int64_t i = 0; i < runs.length; ++i) visit(static_cast<std::size_t>(i % 16), static_cast<std::size_t>(r * runs.stride + i));
}

/// Doubles as floats that keep all their bits.
void append(std::vector<float>& to, double v) {
  to.push_back(static_cast<float>(v));
  to.push_back(static_cast<float>(v - static_cast<double>(to.back())));
}

const std::vector<Runs> kRuns{{1, 1, 1}, {1, 100, 100}, {3, 16, 48}, {5, 7, 21}, {4, 65, 130}};

std::size_t extent(const Runs& r) { return static_cast<std::size_t>(r.count * r.stride); }

}  // namespace

TEST_CASE("moments are sums in double over sixteen lanes, on all targets") {
  for (const Runs& runs : kRuns) {
    CAPTURE(runs.length);
    std::vector<float> x = random_floats(extent(runs), 1);
    for (float& v : x) v += 5;
    Lanes sum, squares;
    each(runs, [&](std::size_t lane, std::size_t at) { sum.lane[lane] += static_cast<double>(x[at]); });
    const double mean = sum.sum() / runs.values();
    each(runs, [&](std::size_t lane, std::size_t at) {
      const double d = static_cast<double>(x[at]) - mean;
      squares.lane[lane] = std::fma(d, d, squares.lane[lane]);
    });
    std::vector<float> expected;
    append(expected, mean);
    append(expected, squares.sum() / runs.values());
    CHECK(same_on_all_targets([&] {
            const Moments m = moments(x.data(), runs);
            std::vector<float> found;
            append(found, m.mean);
            append(found, m.variance);
            return found;
          }) == expected);
  }
}

TEST_CASE("values are scaled and shifted, with a relu and a shortcut if asked for, by their equation on all targets") {
  for (const Runs& runs : kRuns) {
    CAPTURE(runs.length);
    const auto x = random_floats(extent(runs), 1), shortcut = random_floats(extent(runs), 2), begin = random_floats(extent(runs), 3);
    std::vector<float> expected;
    for (const int kind : {0, 1, 2}) {
      std::vector<float> y = begin;
      each(runs, [&](std::size_t, std::size_t at) {
        const float plain = std::fma(x[at], 0.7f, -0.1f);
        y[at] = kind == 0 ? plain : std::max(0.0f, kind == 1 ? plain : plain + shortcut[at]);
      });
      expected.insert(expected.end(), y.begin(), y.end());
    }
    CHECK(same_on_all_targets([&] {
            std::vector<float> plain = begin, relu = begin, both = begin;
            scale_and_shift(x.data(), runs, 0.7f, -0.1f, plain.data());
            scale_shift_relu(x.data(), nullptr, runs, 0.7f, -0.1f, relu.data());
            scale_shift_relu(x.data(), shortcut.data(), runs, 0.7f, -0.1f, both.data());
            for (const auto& more : {relu, both}) plain.insert(plain.end(), more.begin(), more.end());
            return plain;
          }) == expected);
  }
}

TEST_CASE("the gradient of a normalisation has the bits of its equation, on all targets, behind a relu or not, set or added") {
  for (const Runs& runs : kRuns)
    for (const bool relu : {false, true})
      for (const bool fresh : {false, true}) {
        CAPTURE(runs.length);
        const auto x = random_floats(extent(runs), 1), dy = random_floats(extent(runs), 2), y = random_floats(extent(runs), 3);
        const auto begin = random_floats(extent(runs), 4);
        const InputGradient g{0.3f, 1.7f, -0.2f, 0.9f};
        Lanes sum, product;
        std::vector<float> expected = begin, passed = begin;
        each(runs, [&](std::size_t lane, std::size_t at) {
          const float d = !relu || y[at] > 0 ? dy[at] : 0.0f;
          sum.lane[lane] += static_cast<double>(d);
          product.lane[lane] = std::fma(static_cast<double>(d), static_cast<double>(x[at]) - static_cast<double>(g.mean), product.lane[lane]);
          expected[at] = (fresh ? g.slope * d : std::fma(g.slope, d, begin[at])) - std::fma(g.lean, x[at] - g.mean, g.shift);
          passed[at] = fresh ? d : begin[at] + d;
        });
        expected.insert(expected.end(), passed.begin(), passed.end());
        append(expected, sum.sum());
        append(expected, product.sum());
        const Arriving arriving{dy.data(), relu ? y.data() : nullptr};
        CHECK(same_on_all_targets([&] {
                std::vector<float> found = begin, to = begin;
                input_gradient(x.data(), arriving, runs, g, fresh, found.data());
                pass_gradient(arriving, runs, fresh, to.data());
                found.insert(found.end(), to.begin(), to.end());
                const GradientSums sums = gradient_sums(x.data(), arriving, runs, g.mean);
                append(found, sums.dy);
                append(found, sums.product);
                return found;
              }) == expected);
      }
}

TEST_CASE("rows with a gain for every value are normalised by their equation, on all targets") {
  for (const std::size_t n : {1u, 16u, 45u}) {
    CAPTURE(n);
    const auto x = random_floats(n, 1), dy = random_floats(n, 2), gain = random_floats(n, 3), bias = random_floats(n, 4), begin = random_floats(n, 5);
    const Row row{static_cast<std::int64_t>(n), 0.25f, 1.3f};
    std::vector<float> expected(3 * n), slopes = bias;
    Lanes sum, product;
    for (std::size_t i = 0; i < n; ++i) {
      const float centred = x[i] - row.mean, normal = centred * row.scale;
      const double d = static_cast<double>(dy[i]) * static_cast<double>(gain[i]);
      expected[i] = std::fma(normal, gain[i], bias[i]);
      expected[n + i] = std::fma(row.scale, dy[i] * gain[i], begin[i]) - std::fma(0.6f, centred, 0.1f);
      expected[2 * n + i] = std::fma(dy[i], normal, begin[i]);
      slopes[i] += dy[i];
      sum.lane[i % 16] += d;
      product.lane[i % 16] = std::fma(d, static_cast<double>(x[i]) - static_cast<double>(row.mean), product.lane[i % 16]);
    }
    expected.insert(expected.end(), slopes.begin(), slopes.end());
    append(expected, sum.sum());
    append(expected, product.sum());
    CHECK(same_on_all_targets([&] {
            std::vector<float> y(n), dx = begin, d_gain = begin, d_bias = bias;
            normalise_row(x.data(), row, gain.data(), bias.data(), y.data());
            row_input_gradient(x.data(), dy.data(), row, gain.data(), 0.1f, 0.6f, dx.data());
            row_gain_gradient(x.data(), dy.data(), row, d_gain.data(), d_bias.data());
            for (const auto& more : {dx, d_gain, d_bias}) y.insert(y.end(), more.begin(), more.end());
            const GradientSums sums = row_gradient_sums(x.data(), dy.data(), row, gain.data());
            append(y, sums.dy);
            append(y, sums.product);
            return y;
          }) == expected);
  }
}

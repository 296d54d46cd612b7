// F32 products of training: right against plain loops in double, and the same bits for any shape of the work.
#include <cmath>
#include <random>
#include <vector>

#include <doctest/doctest.h>

#include "core/ops/conv.h"
#include "core/ops/gemm.h"
#include "tests/oracle/targets.h"

using namespace starling;
using namespace starling::core;

namespace {

std::vector<float> random_floats(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(n + Arena::kSlackFloats);  // kernels may look beyond the end
  for (float& v : values) v = uniform(random);
  return values;
}

/// Largest difference, relative to the size of the terms.
double worst(const std::vector<double>& expected, const float* found) {
  double result = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) result = std::max(result, std::abs(expected[i] - static_cast<double>(found[i])));
  return result;
}

struct NaiveConv {
  explicit NaiveConv(const ConvShape& s) : shape(s) {}
  /// Calls visit(y index, x index, w index) for every product.
  template <class Visit>
  void each(Visit visit) const {
    const ConvShape& s = shape;
    for (std::int64_t n = 0; n < s.batch; ++n)
      for (std::int64_t o = 0; o < s.outputs; ++o)
        for (std::int64_t y = 0; y < s.out_height(); ++y)
          for (std::int64_t x = 0; x < s.out_width(); ++x)
            for (std::int64_t c = 0; c < s.channels; ++c)
              for (std::int64_t ky = 0; ky < s.kernel_height; ++ky)
                for (std::int64_t kx = 0; kx < s.kernel_width; ++kx) {
                  const std::int64_t iy = y * s.stride + ky - s.pad, ix = x * s.stride + kx - s.pad;
                  if (iy < 0 || ix < 0 || iy >= s.height || ix >= s.width) continue;
                  visit(static_cast<std::size_t>(((n * s.outputs + o) * s.out_height() + y) * s.out_width() + x),
                        static_cast<std::size_t>(((n * s.channels + c) * s.height + iy) * s.width + ix),
                        static_cast<std::size_t>(((o * s.channels + c) * s.kernel_height + ky) * s.kernel_width + kx), static_cast<std::size_t>(o));
                }
  }
  ConvShape shape;
};

const std::vector<ConvShape> kShapes{
    {2, 1, 28, 28, 6, 5, 5, 1, 0},  {3, 6, 12, 12, 16, 5, 5, 1, 0}, {2, 3, 9, 11, 5, 3, 3, 1, 1}, {2, 16, 8, 8, 32, 3, 3, 2, 1},
    {1, 2, 7, 7, 40, 3, 3, 3, 0},   {2, 8, 6, 6, 70, 1, 1, 1, 0},   {1, 3, 10, 10, 4, 5, 5, 2, 2}, {2, 33, 5, 5, 9, 3, 3, 1, 1},
    {1, 4, 3, 40, 7, 3, 3, 1, 1},   {2, 9, 9, 10, 24, 3, 3, 2, 1},  {1, 3, 8, 9, 4, 2, 2, 3, 0},  {2, 5, 8, 8, 20, 5, 5, 3, 4},
    // These suit winograd.h: odd and even sizes, every padding, channels that fill no vector.
    {3, 16, 8, 8, 16, 3, 3, 1, 1},  {2, 20, 9, 7, 35, 3, 3, 1, 1},  {1, 17, 12, 10, 64, 3, 3, 1, 0}, {2, 40, 6, 6, 33, 3, 3, 1, 2},
    {2, 70, 32, 32, 16, 3, 3, 1, 1},
};

}  // namespace

TEST_CASE("matrix products are right for every layout and size") {
  Pool pool(2);
  for (const auto& [m, n, k] : std::vector<std::array<std::int64_t, 3>>{{1, 1, 1}, {32, 10, 84}, {7, 33, 300}, {10, 200, 784}, {65, 64, 513}, {3, 1, 1000}, {200, 5, 17}}) {
    const auto a = random_floats(static_cast<std::size_t>(m * k), 1), b = random_floats(static_cast<std::size_t>(k * n), 2);
    for (int layout = 0; layout < 4; ++layout) {
      // Stored as asked or turned, seen as {m, k} and {k, n}.
      const MatrixView left = (layout & 1) != 0 ? transposed(row_major(a.data(), k, m)) : row_major(a.data(), m, k);
      const MatrixView right = (layout & 2) != 0 ? transposed(row_major(b.data(), n, k)) : row_major(b.data(), k, n);
      std::vector<double> expected(static_cast<std::size_t>(m * n));
      for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < n; ++j)
          for (std::int64_t l = 0; l < k; ++l)
            expected[static_cast<std::size_t>(i * n + j)] += static_cast<double>(left.data[i * left.row_stride + l * left.column_stride]) *
                                                             static_cast<double>(right.data[l * right.row_stride + j * right.column_stride]);
      CAPTURE(m);
      CAPTURE(n);
      CAPTURE(k);
      CAPTURE(layout);
      std::vector<float> c(expected.size(), 5.0f);
      gemm(left, right, c.data(), false, pool);
      CHECK(worst(expected, c.data()) < 2e-6 * static_cast<double>(k) + 1e-6);
      for (double& e : expected) e *= 2;
      gemm(left, right, c.data(), true, pool);
      CHECK(worst(expected, c.data()) < 4e-6 * static_cast<double>(k) + 1e-6);
    }
  }
}

TEST_CASE("a row of a product has the same bits alone, among others, and from any number of threads") {
  const std::int64_t m = 67, n = 45, k = 700;
  const auto a = random_floats(static_cast<std::size_t>(m * k), 3), b = random_floats(static_cast<std::size_t>(k * n), 4);
  Pool one(1), three(3);
  std::vector<float> whole(static_cast<std::size_t>(m * n)), threads(whole.size()), turned(whole.size());
  gemm(row_major(a.data(), m, k), row_major(b.data(), k, n), whole.data(), false, one);
  gemm(row_major(a.data(), m, k), row_major(b.data(), k, n), threads.data(), false, three);
  CHECK(whole == threads);
  for (std::int64_t i = 0; i < m; ++i) {
    std::vector<float> row(static_cast<std::size_t>(n));
    gemm(row_major(a.data() + i * k, 1, k), row_major(b.data(), k, n), row.data(), false, one);
    CHECK(std::equal(row.begin(), row.end(), whole.begin() + i * n));
  }
  // The transposed product: the other factor is in the lanes.
  gemm(transposed(row_major(b.data(), k, n)), transposed(row_major(a.data(), m, k)), turned.data(), false, three);
  bool same = true;
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j) same = same && turned[static_cast<std::size_t>(j * m + i)] == whole[static_cast<std::size_t>(i * n + j)];
  CHECK(same);
}

TEST_CASE("convolutions and their gradients equal plain loops") {
  Pool pool(2);
  Arena arena;
  for (const ConvShape& s : kShapes) {
    CAPTURE(s.channels);
    CAPTURE(s.outputs);
    CAPTURE(s.stride);
    const auto x = random_floats(static_cast<std::size_t>(s.batch * s.channels * s.height * s.width), 5);
    const auto w = random_floats(static_cast<std::size_t>(s.outputs * s.taps()), 6);
    const auto bias = random_floats(static_cast<std::size_t>(s.outputs), 7);
    const std::size_t results = static_cast<std::size_t>(s.batch * s.outputs * s.positions());
    const auto dy = random_floats(results, 8);
    std::vector<double> y(results), dx(x.size() - Arena::kSlackFloats), dw(w.size() - Arena::kSlackFloats), db(static_cast<std::size_t>(s.outputs));
    for (std::size_t i = 0; i < results; ++i) {
      const auto o = i / static_cast<std::size_t>(s.positions()) % static_cast<std::size_t>(s.outputs);
      y[i] = static_cast<double>(bias[o]);
      db[o] += static_cast<double>(dy[i]);
    }
    NaiveConv(s).each([&](std::size_t iy, std::size_t ix, std::size_t iw, std::size_t) {
      y[iy] += static_cast<double>(x[ix]) * static_cast<double>(w[iw]);
      dx[ix] += static_cast<double>(dy[iy]) * static_cast<double>(w[iw]);
      dw[iw] += static_cast<double>(dy[iy]) * static_cast<double>(x[ix]);
    });
    const float* padded = conv_pad(s, x.data(), arena, pool);
    std::vector<float> found(results), found_dx(dx.size()), found_dw(dw.size()), found_db(db.size());
    conv_forward(s, padded, w.data(), bias.data(), found.data(), arena, pool);
    conv_backward_input(s, dy.data(), w.data(), found_dx.data(), true, arena, pool);
    conv_backward_weights(s, padded, dy.data(), found_dw.data(), found_db.data(), arena, pool);
    const double tolerance = 1e-5 * std::sqrt(static_cast<double>(std::max(s.taps(), s.batch * s.positions())));
    CHECK(worst(y, found.data()) < tolerance);
    CHECK(worst(dx, found_dx.data()) < tolerance);
    CHECK(worst(dw, found_dw.data()) < tolerance);
    CHECK(worst(db, found_db.data()) < tolerance);
    // Once more, added: gradients are sums. And by other threads: the same bits.
    Pool many(4);
    std::vector<float> again(results), again_dw(dw.size());
    conv_forward(s, padded, w.data(), bias.data(), again.data(), arena, many);
    conv_backward_weights(s, padded, dy.data(), again_dw.data(), nullptr, arena, many);
    std::vector<float> again_dx(dx.size(), 5.0f);
    conv_backward_input(s, dy.data(), w.data(), again_dx.data(), false, arena, many);
    CHECK(again == found);
    CHECK(again_dw == found_dw);
    CHECK(again_dx == found_dx);
    arena.reset();
  }
}

TEST_CASE("an image's convolution has the same bits alone and in a batch") {
  Pool pool(1);
  Arena arena;
  for (const ConvShape& s : {ConvShape{3, 4, 9, 9, 20, 3, 3, 1, 1}, ConvShape{3, 16, 9, 9, 32, 3, 3, 1, 1}, ConvShape{3, 18, 9, 9, 20, 3, 3, 2, 1}}) {
    CAPTURE(s.channels);
    const auto x = random_floats(static_cast<std::size_t>(s.batch * s.channels * s.height * s.width), 9);
    const auto w = random_floats(static_cast<std::size_t>(s.outputs * s.taps()), 10);
    std::vector<float> all(static_cast<std::size_t>(s.batch * s.outputs * s.positions()));
    std::vector<float> slopes(static_cast<std::size_t>(s.batch * s.channels * s.height * s.width));
    conv_forward(s, conv_pad(s, x.data(), arena, pool), w.data(), nullptr, all.data(), arena, pool);
    conv_backward_input(s, all.data(), w.data(), slopes.data(), true, arena, pool);
    ConvShape one = s;
    one.batch = 1;
    std::vector<float> alone(all.size() / 3), slope(slopes.size() / 3);
    const std::size_t image = static_cast<std::size_t>(s.channels * s.height * s.width);
    conv_forward(one, conv_pad(one, x.data() + 2 * image, arena, pool), w.data(), nullptr, alone.data(), arena, pool);
    conv_backward_input(one, alone.data(), w.data(), slope.data(), true, arena, pool);
    CHECK(std::equal(alone.begin(), alone.end(), all.begin() + static_cast<std::ptrdiff_t>(2 * alone.size())));
    CHECK(std::equal(slope.begin(), slope.end(), slopes.begin() + static_cast<std::ptrdiff_t>(2 * slope.size())));
    arena.reset();
  }
}

TEST_CASE("convolutions and products have the same bits on every instruction set with fused multiply-adds") {
  Pool pool(2);
  Arena arena;
  std::vector<std::vector<float>> first;
  for (const std::int64_t target : tests::all_targets()) {
    if (!tests::has_fma(target)) continue;
    const tests::OnlyTargets only(target);
    std::vector<std::vector<float>> found;
    for (const ConvShape& s : kShapes) {
      const auto x = random_floats(static_cast<std::size_t>(s.batch * s.channels * s.height * s.width), 11);
      const auto w = random_floats(static_cast<std::size_t>(s.outputs * s.taps()), 12), bias = random_floats(static_cast<std::size_t>(s.outputs), 13);
      const auto dy = random_floats(static_cast<std::size_t>(s.batch * s.outputs * s.positions()), 14);
      std::vector<float> y(dy.size()), dx(x.size()), dw(w.size()), db(bias.size());
      const float* padded = conv_pad(s, x.data(), arena, pool);
      conv_forward(s, padded, w.data(), bias.data(), y.data(), arena, pool);
      conv_backward_input(s, dy.data(), w.data(), dx.data(), true, arena, pool);
      conv_backward_weights(s, padded, dy.data(), dw.data(), db.data(), arena, pool);
      for (auto* values : {&y, &dx, &dw, &db}) found.push_back(*values);
      arena.reset();
    }
    const auto a = random_floats(40 * 600, 15), b = random_floats(600 * 50, 16);
    std::vector<float> c(40 * 50);
    gemm(row_major(a.data(), 40, 600), transposed(row_major(b.data(), 50, 600)), c.data(), false, pool);
    found.push_back(c);
    if (first.empty()) first = found;
    CAPTURE(hwy::TargetName(target));
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == first[i]);
  }
}

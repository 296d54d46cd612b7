// Matrix products and grid sums against sixteen plain lanes, on every instruction set.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/ops/grid.h"
#include "core/ops/matmul.h"
#include "core/quant/blocks.h"
#include "tests/oracle/lanes.h"
#include "tests/oracle/random.h"
#include "tests/oracle/targets.h"

using namespace starling::core;
using namespace starling::tests;

namespace {

constexpr Type kTypes[] = {Type::f32, Type::f16, Type::bf16, Type::q8_0, Type::q4_0, Type::q4_1, Type::q5_0, Type::q5_1};
constexpr Type kSuperBlockTypes[] = {Type::q2_k, Type::q3_k, Type::q4_k, Type::q5_k, Type::q6_k};

struct Size {
  std::int64_t outputs, columns, rows, unit;
};
// Tails of every kind: of outputs, columns, rows, tiles, units, chunks of a unit and blocks of rows.
constexpr Size kSizes[] = {{1, 32, 1, 32},    {3, 64, 2, 32},     {4, 96, 5, 64},   {7, 160, 4, 64},  {9, 32, 67, 32},
                           {5, 1120, 3, 544}, {6, 2048, 9, 1056}, {13, 512, 1, 96}, {2, 1536, 1, 640}, {130, 64, 3, 32}};
constexpr Size kSuperBlockSizes[] = {{1, 256, 1, 256}, {5, 1280, 3, 512}, {6, 2048, 9, 768}, {7, 512, 67, 512}};
constexpr Size kOddSizes[] = {{1, 1, 1, 1},    {2, 15, 3, 4},      {5, 17, 1, 5},   {3, 33, 6, 20},
                              {6, 47, 2, 31}, {4, 1035, 5, 519}, {3, 20, 130, 6}, {2, 529, 2, 529}};

std::span<const float> row_of(std::span<const float> matrix, std::int64_t row, std::int64_t columns) {
  return matrix.subspan(static_cast<std::size_t>(row * columns), static_cast<std::size_t>(columns));
}

std::vector<float> plain(const Tensor& w, std::span<const float> x, std::int64_t rows, Pool& pool) {
  std::vector<float> y(static_cast<std::size_t>(rows * w.rows()), -1);
  matmul(w, x, rows, y, pool);
  return y;
}

std::vector<double> grid(const Tensor& w, std::int64_t unit, std::span<const float> x, std::int64_t rows, Pool& pool) {
  std::vector<double> y(static_cast<std::size_t>(rows * w.rows()), -1);
  CHECK(matmul_grid(w, unit, x, rows, y, pool) <= grid_limit(64));
  return y;
}

void check_against_oracle(Type type, const Size& s, Pool& pool) {
  CAPTURE(info(type).name);
  CAPTURE(s.outputs);
  CAPTURE(s.columns);
  CAPTURE(s.rows);
  CAPTURE(s.unit);
  const Tensor w = random_tensor(type, {s.outputs, s.columns}, 1);
  const Tensor exact = to_float(w);
  const auto x = random_floats(static_cast<std::size_t>(s.rows * s.columns), 2);
  std::vector<float> sums;
  std::vector<double> grid_sums;
  for (std::int64_t r = 0; r < s.rows; ++r)
    for (std::int64_t o = 0; o < s.outputs; ++o) {
      const auto a = row_of(exact.floats(), o, s.columns), b = row_of(x, r, s.columns);
      sums.push_back(lane_dot(a, b));
      grid_sums.push_back(grid_dot(a, b, static_cast<std::size_t>(s.unit)));
    }
  CHECK(plain(w, x, s.rows, pool) == sums);
  CHECK(grid(w, s.unit, x, s.rows, pool) == grid_sums);
}

}  // namespace

TEST_CASE("on every target with FMA, products of every type have the bits of sixteen plain lanes of exact weights") {
  Pool pool(1);
  for (const std::int64_t target : all_targets()) {
    if (!has_fma(target)) continue;
    const OnlyTargets only(target);
    CAPTURE(std::string(hwy::TargetName(target)));
    for (const Type type : kTypes)
      for (const Size& s : kSizes) check_against_oracle(type, s, pool);
    for (const Type type : kSuperBlockTypes)
      for (const Size& s : kSuperBlockSizes) check_against_oracle(type, s, pool);
    for (const Type type : {Type::f32, Type::f16, Type::bf16})
      for (const Size& s : kOddSizes) check_against_oracle(type, s, pool);
  }
}

TEST_CASE("targets without FMA agree to rounding, and quantised weights still have the bits of their exact values") {
  Pool pool(1);
  for (const std::int64_t target : all_targets()) {
    if (has_fma(target)) continue;
    const OnlyTargets only(target);
    CAPTURE(std::string(hwy::TargetName(target)));
    for (const Type type : kTypes)
      for (const Size& s : kSizes) {
        const Tensor w = random_tensor(type, {s.outputs, s.columns}, 3);
        const Tensor exact = to_float(w);
        const auto x = random_floats(static_cast<std::size_t>(s.rows * s.columns), 4);
        const auto y = plain(w, x, s.rows, pool);
        CHECK(y == plain(exact, x, s.rows, pool));
        CHECK(grid(w, s.unit, x, s.rows, pool) == grid(exact, s.unit, x, s.rows, pool));
        for (std::size_t i = 0; i < y.size(); ++i) {
          const auto r = static_cast<std::int64_t>(i) / s.outputs, o = static_cast<std::int64_t>(i) % s.outputs;
          const float expected = lane_dot(row_of(exact.floats(), o, s.columns), row_of(x, r, s.columns));
          CHECK(std::abs(y[i] - expected) < 1e-4);
        }
      }
  }
}

TEST_CASE("a row of a product has the same bits alone, among 150 others and on any number of threads") {
  constexpr std::int64_t kRows = 151, kColumns = 1120, kOutputs = 37;
  const auto x = random_floats(kRows * kColumns, 5);
  for (const Type type : kTypes) {
    const Tensor w = random_tensor(type, {kOutputs, kColumns}, 6);
    Pool one(1);
    const auto together = plain(w, x, kRows, one);
    const auto grid_together = grid(w, 256, x, kRows, one);
    for (const int threads : {2, 3, 5}) {
      Pool pool(threads);
      CHECK(plain(w, x, kRows, pool) == together);
      CHECK(grid(w, 256, x, kRows, pool) == grid_together);
    }
    for (const std::int64_t r : {0, 63, 64, 150}) {
      const auto first = static_cast<std::ptrdiff_t>(r * kOutputs);
      CHECK(plain(w, row_of(x, r, kColumns), 1, one) == std::vector(together.begin() + first, together.begin() + first + kOutputs));
      CHECK(grid(w, 256, row_of(x, r, kColumns), 1, one) ==
            std::vector(grid_together.begin() + first, grid_together.begin() + first + kOutputs));
    }
  }
}

TEST_CASE("weights and inputs at any address give the same bits") {
  for (const Type type : kTypes) {
    const Tensor w = random_tensor(type, {5, 128}, 7);
    const auto values = random_floats(128, 8);
    Pool pool(1);
    const auto expected = plain(w, values, 1, pool);
    const std::size_t step = type == Type::f32 ? 4 : type == Type::f16 || type == Type::bf16 ? 2 : 1;
    for (std::size_t shift = step; shift < 64; shift += step) {
      auto memory = std::make_shared<std::vector<std::byte>>(w.bytes().size() + shift);
      std::copy(w.bytes().begin(), w.bytes().end(), memory->begin() + static_cast<std::ptrdiff_t>(shift));
      const Tensor moved = Tensor::borrowed(type, w.shape(), Bytes(*memory).subspan(shift), memory);
      std::vector<float> x(shift, 0.0f);
      x.insert(x.end(), values.begin(), values.end());
      CHECK(plain(moved, std::span<const float>(x).subspan(shift), 1, pool) == expected);
    }
  }
}

TEST_CASE("grid sums add up to the same bits however the columns are partitioned") {
  constexpr std::int64_t kColumns = 2048, kOutputs = 11, kRows = 3, kUnit = 256;
  Pool pool(1);
  const Tensor w = random_tensor(Type::q8_0, {kOutputs, kColumns}, 9);
  const auto x = random_floats(kRows * kColumns, 10);
  const auto whole = grid(w, kUnit, x, kRows, pool);
  const std::vector<std::int64_t> partitions[] = {
      {0, 256, 2048}, {0, 1024, 1280, 2048}, {0, 256, 512, 768, 1024, 1280, 1536, 1792, 2048}};
  for (const auto& cuts : partitions) {
    std::vector<double> total(whole.size(), 0.0);
    for (std::size_t part = cuts.size() - 1; part > 0; --part) {
      const std::int64_t begin = cuts[part - 1], width = cuts[part] - begin;
      std::vector<float> columns;
      for (std::int64_t r = 0; r < kRows; ++r) {
        const auto row = row_of(x, r, kColumns).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(width));
        columns.insert(columns.end(), row.begin(), row.end());
      }
      const auto sums = grid(w.copy_columns(begin, begin + width), kUnit, columns, kRows, pool);
      for (std::size_t i = 0; i < total.size(); ++i) total[i] += sums[i];
    }
    CHECK(total == whole);
  }
}

TEST_CASE("the largest unit is reported, infinities and NaN included, wherever it is") {
  for (const std::int64_t rows : {1, 6})
    for (const int threads : {1, 3}) {
      Pool pool(threads);
      auto x = random_floats(static_cast<std::size_t>(rows * 512), 11);
      std::vector<float> ones(200 * 512, 0x1p-12f);
      std::vector<double> out(static_cast<std::size_t>(rows * 200));
      CHECK(matmul_grid(Tensor::from_floats({200, 512}, ones), 64, x, rows, out, pool) < 1);
      ones[137 * 512 + 300] = -0x1p22f;
      x[300] = 0.5f;
      const float largest = matmul_grid(Tensor::from_floats({200, 512}, ones), 64, x, rows, out, pool);
      CHECK(largest > grid_limit(8));
      CHECK(largest >= 0x1.ffp20f);
      ones[511] = std::numeric_limits<float>::infinity();
      CHECK(std::isinf(matmul_grid(Tensor::from_floats({200, 512}, ones), 64, x, rows, out, pool)));
      ones[400] = std::numeric_limits<float>::quiet_NaN();
      CHECK(std::isnan(matmul_grid(Tensor::from_floats({200, 512}, ones), 64, x, rows, out, pool)));
    }
}

TEST_CASE("the limit of a unit leaves room for the sum of all of them") {
  CHECK(grid_limit(1) == 0x1p20f);
  CHECK(grid_limit(8) == 0x1p20f);
  CHECK(grid_limit(9) == 0x1p19f);
  CHECK(grid_limit(64) == 0x1p17f);
  CHECK(grid_limit(112) == 0x1p16f);
}

TEST_CASE("a product whose sizes disagree is our own bug and says so") {
  Pool pool(1);
  const Tensor w = random_tensor(Type::f32, {2, 32}, 12);
  std::vector<float> x(32), y(3);
  CHECK_THROWS_AS(matmul(w, x, 1, y, pool), Error);
  CHECK_THROWS_AS(matmul(w, x, 2, y, pool), Error);
}

// The integer kernels on packed weights: against plain sums, against each other, row by row, and against numbers
// that the reference implementation of the block types gave.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include "core/error.h"
#include "core/models/pack.h"
#include "core/ops/grid.h"
#include "core/ops/matmul.h"
#include "core/ops/packed.h"
#include "core/ops/packed_activations.h"
#include "core/ops/packed_kernels.h"
#include "core/ops/packed_pack.h"
#include "core/quant/blocks.h"
#include "tests/neon/packed_checksum.h"
#include "tests/oracle/random.h"

using namespace starling::core;
using namespace starling::tests;

namespace {

constexpr Type kPackable[] = {Type::q8_0, Type::q4_0, Type::q4_1, Type::q5_0, Type::q5_1, Type::q2_k, Type::q3_k, Type::q4_k, Type::q5_k, Type::q6_k};

struct Size {
  std::int64_t outputs, columns, rows, unit;
};
// Tails of every kind: of groups, panels of groups, tiles of rows, units, chunks of a unit and blocks of rows.
constexpr Size kSizes[] = {{1, 256, 1, 256}, {16, 256, 2, 64},    {33, 512, 7, 160},   {70, 768, 6, 768},
                           {48, 1280, 13, 544}, {5, 1536, 3, 512}, {40, 256, 200, 128}, {100, 2560, 4, 2560}};

struct Product {
  Tensor stored, packed;
  std::vector<float> x;
  std::vector<PackedActivations> quantized;
  Size size;

  Product(Type type, const Size& s, std::uint32_t seed)
      : stored(convert(random_tensor(Type::f32, {s.outputs, s.columns}, seed), type)), size(s) {
    Pool pool(1);
    packed = pack_matrix(stored, pool);
    x = random_floats(static_cast<std::size_t>(s.rows * s.columns), seed + 1);
    quantized.resize(x.size() / kPackedBlock);
    for (std::size_t tile = 0; tile * kPackedTileRows < static_cast<std::size_t>(s.rows); ++tile)
      quantize_tile(x, static_cast<std::size_t>(s.rows), static_cast<std::size_t>(s.columns), tile, quantized.data());
  }
  const PackedActivations& block(std::int64_t row, std::int64_t block) const {
    const auto tile_rows = static_cast<std::int64_t>(kPackedTileRows), first = row / tile_rows * tile_rows, blocks = size.columns / 32;
    return quantized[static_cast<std::size_t>(first * blocks + block * std::min(tile_rows, size.rows - first) + row - first)];
  }
  PackedJob job() const {
    const TypeInfo& type = info(packed.type());
    PackedJob j;
    j.weights = reinterpret_cast<const std::uint8_t*>(packed.bytes().data());
    j.group_bytes = static_cast<std::size_t>(size.columns / type.block_length * type.block_bytes * type.rows_together);
    j.outputs = static_cast<std::size_t>(size.outputs);
    j.blocks = static_cast<std::size_t>(size.columns / 32);
    j.unit_blocks = static_cast<std::size_t>(size.unit / 32);
    j.x = quantized.data();
    j.rows = static_cast<std::size_t>(size.rows);
    return j;
  }
  std::size_t groups() const { return static_cast<std::size_t>((size.outputs + 15) / 16); }
  PackedProduct with(const PackedKernels& kernels) const {
    return kernels.product[static_cast<std::size_t>(packed_format(packed.type()))];
  }
};

std::vector<std::uint32_t> bits(std::span<const float> values) {
  std::vector<std::uint32_t> result;
  for (const float v : values) result.push_back(std::bit_cast<std::uint32_t>(v));
  return result;
}

}  // namespace

TEST_CASE("a packed matrix holds the numbers of the file's form, in as many bytes but for padded rows and scales") {
  for (const Type type : kPackable)
    for (const Size& s : kSizes) {
      const Product p(type, s, 1);
      CAPTURE(info(type).name);
      const bool six_bits = type == Type::q3_k || type == Type::q4_k || type == Type::q5_k;  // of a scale; they become bytes
      const auto scales = static_cast<std::size_t>(six_bits ? s.outputs * s.columns / 256 * 4 : 0);
      if (s.outputs % 16 == 0) CHECK(p.packed.bytes().size() == p.stored.bytes().size() + scales);
      std::vector<float> wanted(static_cast<std::size_t>(s.columns)), row(wanted.size());
      for (std::int64_t i = 0; i < s.outputs; ++i) {
        dequantize(type, p.stored.row_bytes(i), wanted);
        packed_row(p.packed, i, row);
        REQUIRE(bits(row) == bits(wanted));
      }
    }
  for (const Type type : {Type::f32, Type::f16, Type::bf16}) CHECK_FALSE(is_packable(type));
}

TEST_CASE("a packed type is no type of files") {
  for (const Type type : kPackable) {
    Pool pool(1);
    const Type packed = pack_matrix(Tensor::owned(type, {16, 256}), pool).type();
    CHECK(is_packed(packed));
    CHECK_FALSE(type_from_id(static_cast<std::uint32_t>(packed)).has_value());
    CHECK_THROWS_AS(type_from_name(info(packed).name), Error);
  }
}

TEST_CASE("activations are rounded to nearest even, with a scale for every 32") {
  std::vector<float> x(64);
  x[0] = 127, x[1] = 2.5f, x[2] = 3.5f, x[3] = -0.5f, x[4] = -1.5f, x[31] = -126.6f;
  std::vector<PackedActivations> q(2);
  quantize_tile(x, 1, 64, 0, q.data());
  CHECK(q[0].scale == 1);
  CHECK(std::vector<int>(q[0].codes, q[0].codes + 5) == std::vector<int>{127, 2, 4, 0, -2});
  CHECK(q[0].codes[31] == -127);
  CHECK(q[0].half_sum == 131);
  CHECK(q[0].sum == 4);
  CHECK(q[1].scale == 0);
  CHECK(q[1].sum == 0);
  x[40] = std::numeric_limits<float>::infinity();
  x[3] = std::numeric_limits<float>::quiet_NaN();
  quantize_tile(x, 1, 64, 0, q.data());
  CHECK(std::isnan(q[0].scale));
  CHECK(std::isnan(q[1].scale));
  std::fill(x.begin(), x.end(), 1e-44f);
  quantize_tile(x, 1, 64, 0, q.data());
  for (const PackedActivations& block : q) CHECK(std::abs(block.scale * static_cast<float>(block.codes[7])) < 1e-37f);
}

TEST_CASE("scales of activations have the eleven bits of binary16 and the range of floats") {
  const auto scale_for = [](float largest) {
    std::vector<float> x(32);
    x[7] = largest;
    PackedActivations q;
    quantize_tile(x, 1, 32, 0, &q);
    CHECK(q.codes[7] == 127);
    return q.scale;
  };
  CHECK(scale_for(1) == 1032 * 0x1p-17f);  // binary16 has steps of 2^-17 there, and 1/127 is 1032.06 of them
  for (const float kept : {0x1.ffcp-40f, 0x1.ffcp+40f}) CHECK(scale_for(127 * kept) == kept);
}

TEST_CASE("every kernel of this machine gives the bits of the scalar one, plain and on the grid") {
  for (const Type type : kPackable)
    for (const Size& s : kSizes) {
      const Product p(type, s, 2);
      const auto n = static_cast<std::size_t>(s.outputs * s.rows);
      std::vector<float> wanted(n), y(n);
      std::vector<double> wanted_grid(n), grid(n);
      PackedJob job = p.job();
      job.grid = wanted_grid.data();
      const std::int32_t largest = p.with(packed_scalar())(job, 0, p.groups());
      CHECK(std::bit_cast<float>(largest) > 0);
      job = p.job();
      job.unit_blocks = job.blocks;
      job.plain = wanted.data();
      p.with(packed_scalar())(job, 0, p.groups());
      for (const PackedKernels* kernels : available_packed_kernels()) {
        CAPTURE(kernels->name);
        CAPTURE(info(type).name);
        job.plain = y.data();
        p.with(*kernels)(job, 0, p.groups());
        CHECK(bits(y) == bits(wanted));
        PackedJob summed = p.job();
        summed.grid = grid.data();
        CHECK(p.with(*kernels)(summed, 0, p.groups()) == largest);
        CHECK(grid == wanted_grid);
      }
    }
}

TEST_CASE("the kernels of all processors give one checksum, which those of ARM must give under an emulator") {
  for (const PackedKernels* kernels : available_packed_kernels()) {
    CAPTURE(kernels->name);
    CHECK(PackedChecksum::of(*kernels) == kPackedChecksum);
    CHECK(kernels->multiply_adds(100000) >= 100000);
  }
}

TEST_CASE("a product is that of the dequantised weights and activations, and a grid sum is that of its units") {
  Pool pool(2);
  for (const Type type : kPackable)
    for (const Size& s : kSizes) {
      const Product p(type, s, 3);
      const Tensor weights = to_float(p.stored);
      const auto n = static_cast<std::size_t>(s.outputs * s.rows);
      std::vector<float> y(n);
      std::vector<double> grid(n);
      matmul(p.packed, p.x, s.rows, y, pool);
      const float largest = matmul_grid(p.packed, s.unit, p.x, s.rows, grid, pool);
      for (std::int64_t row = 0; row < s.rows; ++row)
        for (std::int64_t o = 0; o < s.outputs; ++o) {
          double sum = 0, magnitude = 0;
          for (std::int64_t k = 0; k < s.columns; ++k) {
            const PackedActivations& block = p.block(row, k / 32);
            const double a = static_cast<double>(block.scale) * block.codes[k % 32];
            REQUIRE(std::abs(a - p.x[static_cast<std::size_t>(row * s.columns + k)]) <= 0.564 * block.scale);
            const double term = static_cast<double>(weights.floats()[static_cast<std::size_t>(o * s.columns + k)]) * a;
            sum += term, magnitude += std::abs(term);
          }
          const auto at = static_cast<std::size_t>(row * s.outputs + o);
          REQUIRE(std::abs(y[at] - sum) <= 1e-5 * magnitude);
          REQUIRE(std::abs(grid[at] - sum) <= 1e-5 * magnitude + 1e-8);
          REQUIRE(grid[at] * 0x1p30 == std::floor(grid[at] * 0x1p30));
        }
      CHECK(largest <= grid_limit(s.columns / s.unit + 1));
    }
}

TEST_CASE("a row has the same bits alone and among others, from any number of threads") {
  for (const Type type : kPackable) {
    const Size s{250, 1024, 40, 256};
    const Product p(type, s, 4);
    const auto outputs = static_cast<std::size_t>(s.outputs), columns = static_cast<std::size_t>(s.columns);
    std::vector<float> wanted(outputs * 40);
    std::vector<double> wanted_grid(wanted.size());
    for (const int threads : {1, 2, 3}) {
      Pool pool(threads);
      std::vector<float> y(wanted.size()), one(outputs);
      std::vector<double> grid(wanted.size()), one_grid(outputs);
      matmul(p.packed, p.x, s.rows, y, pool);
      matmul_grid(p.packed, s.unit, p.x, s.rows, grid, pool);
      if (threads == 1) wanted = y, wanted_grid = grid;
      CHECK(bits(y) == bits(wanted));
      CHECK(grid == wanted_grid);
      for (std::size_t row = 0; row < 40; ++row) {
        const auto x = std::span(p.x).subspan(row * columns, columns);
        matmul(p.packed, x, 1, one, pool);
        matmul_grid(p.packed, s.unit, x, 1, one_grid, pool);
        CHECK(bits(one) == bits(std::span(wanted).subspan(row * outputs, outputs)));
        CHECK(std::equal(one_grid.begin(), one_grid.end(), wanted_grid.begin() + static_cast<std::ptrdiff_t>(row * outputs)));
      }
    }
  }
}

TEST_CASE("a value that is not finite makes its row not a number and no other") {
  Pool pool(2);
  const Size s{40, 256, 8, 64};
  Product p(Type::q4_0, s, 5);
  p.x[3 * 256 + 100] = std::numeric_limits<float>::infinity();
  std::vector<float> y(40 * 8);
  std::vector<double> grid(y.size());
  matmul(p.packed, p.x, 8, y, pool);
  CHECK(std::isnan(matmul_grid(p.packed, 64, p.x, 8, grid, pool)));
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i / 40 == 3));
}

TEST_CASE("dot products equal those of the reference implementation of the block types") {
  std::vector<float> weights(256), a(256);
  for (int i = 0; i < 256; ++i) {
    weights[static_cast<std::size_t>(i)] = static_cast<float>((37 * i + 11) % 101 - 50) / 32;
    a[static_cast<std::size_t>(i)] = static_cast<float>((53 * i + 7) % 97 - 48) / 24;
  }
  Pool pool(1);
  const auto dot = [&](Type type) {
    std::vector<float> y(1);
    matmul(pack_matrix(convert(Tensor::from_floats({1, 256}, weights), type), pool), a, 1, y, pool);
    return static_cast<double>(y[0]);
  };
  // There the scale of an activation is rounded to binary16: a difference of at most 2^-11 of each term.
  CHECK(dot(Type::q8_0) == doctest::Approx(17.548915).epsilon(2e-3));
  CHECK(dot(Type::q4_0) == doctest::Approx(18.188727).epsilon(2e-3));
  CHECK(dot(Type::q5_0) == doctest::Approx(17.968254).epsilon(2e-3));
  // There a block of activations has one scale for all 256 values; theirs reach 2, as each 32 of ours nearly do.
  CHECK(dot(Type::q2_k) == doctest::Approx(17.056333).epsilon(5e-3));
  CHECK(dot(Type::q3_k) == doctest::Approx(15.390903).epsilon(5e-3));
  CHECK(dot(Type::q4_k) == doctest::Approx(16.698090).epsilon(5e-3));
  CHECK(dot(Type::q5_k) == doctest::Approx(17.710115).epsilon(5e-3));
  CHECK(dot(Type::q6_k) == doctest::Approx(17.614852).epsilon(5e-3));
}

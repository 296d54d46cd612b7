// Shapes, views and bounds of the one tensor.
#include "core/tensor.h"

#include <array>

#include <doctest/doctest.h>

using namespace starling::core;

TEST_CASE("a tensor of blocks counts its bytes by rows and refuses rows that blocks do not divide") {
  CHECK(byte_size(Type::q8_0, {3, 64}) == 3 * 2 * 34);
  CHECK(byte_size(Type::f16, {3, 5}) == 30);
  CHECK_THROWS_AS(byte_size(Type::q8_0, {3, 40}), Error);
  CHECK_THROWS_AS(byte_size(Type::f32, {std::int64_t{1} << 40, std::int64_t{1} << 40}), Error);
  CHECK_THROWS_AS(byte_size(Type::f32, {-1, 4}), Error);
}

TEST_CASE("rows are shared and columns are copied") {
  const std::array<float, 6> values{1, 2, 3, 4, 5, 6};
  const Tensor t = Tensor::from_floats({2, 3}, values);
  const Tensor row = t.slice_rows(1, 2);
  CHECK(row.floats()[0] == 4);
  CHECK(row.bytes().data() == t.row_bytes(1).data());
  const Tensor columns = t.copy_columns(1, 3);
  CHECK(columns.floats()[0] == 2);
  CHECK(columns.floats()[3] == 6);
  CHECK(t.slice_rows(2, 2).empty());
}

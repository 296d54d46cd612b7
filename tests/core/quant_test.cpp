// Stored forms against vectors of the reference implementation (ggml) and against exact arithmetic.
#include "core/quant/blocks.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/quant/half.h"

using namespace starling::core;

namespace {

std::vector<float> ramp(std::size_t count) {
  std::vector<float> x(count);
  for (std::size_t i = 0; i < count; ++i) x[i] = static_cast<float>(static_cast<int>((37 * i + 11) % 101) - 50) / 32.0f;
  return x;
}

std::vector<std::byte> stored(Type type, std::span<const float> values) {
  std::vector<std::byte> bytes(byte_size(type, {static_cast<std::int64_t>(values.size())}));
  quantize(type, values, bytes);
  return bytes;
}

std::vector<float> restored(Type type, Bytes bytes, std::size_t count) {
  std::vector<float> values(count);
  dequantize(type, bytes, values);
  return values;
}

std::string hex(Bytes bytes) {
  std::string text;
  for (const std::byte b : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(b));
  return text;
}

std::string fnv(Bytes bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::byte b : bytes) hash = (hash ^ static_cast<std::uint64_t>(b)) * 0x100000001b3;
  return fmt::format("{:016x}", hash);
}

struct Golden {
  Type type;
  const char *first, *last, *hash, *hash_of_256;
  std::array<float, 4> values;  // 0, 1, 17, 31
  double rmse;
};

const Golden kGolden[] = {
    {Type::q8_0, "4d229dfb59b61472d02e8be947a50361", "68c62481df3d9af8", "e5abdd1422fe86ed", "4f897b8c3095b49b",
     {-1.21831512f, -0.0615310669f, -0.504554749f, -0.098449707f}, 0.003360},
    {Type::q4_0, "4032f258be1379df359bf147ac0268ce", "f147ac0268ce248a", "002bf66f0ecb985c", "c1efd05223a1fb4c",
     {-1.171875f, 0.0f, -0.5859375f, 0.0f}, 0.060767},
};

}  // namespace

TEST_CASE("block quantisation gives the reference's bytes and values") {
  for (const Golden& g : kGolden) {
    CAPTURE(info(g.type).name);
    const auto x = ramp(32);
    const auto bytes = stored(g.type, x);
    CHECK(hex(Bytes(bytes).first(16)) == g.first);
    CHECK(hex(Bytes(bytes).last(8)) == g.last);
    CHECK(fnv(bytes) == g.hash);
    CHECK(fnv(stored(g.type, ramp(256))) == g.hash_of_256);
    const auto y = restored(g.type, bytes, 32);
    CHECK(y[0] == g.values[0]);
    CHECK(y[1] == g.values[1]);
    CHECK(y[17] == g.values[2]);
    CHECK(y[31] == g.values[3]);
    double squares = 0;
    for (std::size_t i = 0; i < 32; ++i) squares += (x[i] - y[i]) * (x[i] - y[i]);
    CHECK(std::sqrt(squares / 32) == doctest::Approx(g.rmse).epsilon(1e-3));
  }
}

TEST_CASE("blocks of arbitrary bytes decode as the layout says") {
  struct Layout {
    Type type;
    float sum, weighted_sum, first, middle, last;  // y0, y16, y31
  };
  for (const Layout& l : {Layout{Type::q8_0, 17, 607, -5.6875f, 3.3125f, 7.75f},
                          Layout{Type::q4_0, -0.4375f, -1.125f, -0.1875f, 0.125f, 0.375f}}) {
    CAPTURE(info(l.type).name);
    std::vector<std::byte> block(static_cast<std::size_t>(info(l.type).block_bytes));
    for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::byte>((73 * i + 19) % 256);
    block[0] = std::byte{0x00};
    block[1] = std::byte{0x2c};
    const auto y = restored(l.type, block, 32);
    float sum = 0, weighted = 0;
    for (std::size_t i = 0; i < 32; ++i) {
      sum += y[i];
      weighted += static_cast<float>(i + 1) * y[i];
    }
    CHECK(sum == l.sum);
    CHECK(weighted == l.weighted_sum);
    CHECK(y[0] == l.first);
    CHECK(y[16] == l.middle);
    CHECK(y[31] == l.last);
  }
}

TEST_CASE("every binary16 value survives the way to float and back") {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = float_from_f16(half);
    const bool nan = (half & 0x7c00) == 0x7c00 && (half & 0x3ff) != 0;
    if (nan ? !std::isnan(value) || (f16_from_float(value) & 0x7e00) != 0x7e00 : f16_from_float(value) != half) {
      CAPTURE(bits);
      FAIL_CHECK("binary16 value changed");
    }
  }
}

TEST_CASE("a float becomes the nearest binary16, even on ties") {
  // Between each pair of neighbouring halves: just below, at and just above the middle.
  for (std::uint32_t bits = 0; bits + 1 < 0x7c00; ++bits) {
    const auto low = static_cast<std::uint16_t>(bits), high = static_cast<std::uint16_t>(bits + 1);
    const float middle = (float_from_f16(low) + float_from_f16(high)) / 2;
    const bool right = f16_from_float(std::nextafter(middle, 0.0f)) == low &&
                       f16_from_float(std::nextafter(middle, 1e6f)) == high &&
                       f16_from_float(middle) == (bits % 2 == 0 ? low : high) &&
                       f16_from_float(-middle) == ((bits % 2 == 0 ? low : high) | 0x8000);
    if (!right) {
      CAPTURE(bits);
      FAIL_CHECK("wrong neighbour");
    }
  }
  CHECK(f16_from_float(65519.996f) == 0x7bff);
  CHECK(f16_from_float(65520.0f) == 0x7c00);
  CHECK(f16_from_float(-1e30f) == 0xfc00);
  CHECK(f16_from_float(std::numeric_limits<float>::infinity()) == 0x7c00);
  CHECK(f16_from_float(0x1p-25f) == 0);
  CHECK(f16_from_float(0x1.000002p-25f) == 1);
  CHECK(f16_from_float(-0.0f) == 0x8000);
}

TEST_CASE("bfloat16 rounds to nearest even and keeps NaN") {
  CHECK(bf16_from_float(1.0f) == 0x3f80);
  CHECK(bf16_from_float(std::bit_cast<float>(0x3f808000u)) == 0x3f80);
  CHECK(bf16_from_float(std::bit_cast<float>(0x3f818000u)) == 0x3f82);
  CHECK(bf16_from_float(std::bit_cast<float>(0x3f808001u)) == 0x3f81);
  CHECK(bf16_from_float(std::bit_cast<float>(0x7f800001u)) == 0x7fc0);
  CHECK(bf16_from_float(std::numeric_limits<float>::max()) == 0x7f80);
  CHECK(float_from_bf16(0xc020) == -2.5f);
}

TEST_CASE("zero and tiny blocks quantise to zeros, values a block cannot hold are refused") {
  for (const Type type : {Type::q8_0, Type::q4_0}) {
    CAPTURE(info(type).name);
    std::vector<float> x(32, 0.0f);
    for (const float y : restored(type, stored(type, x), 32)) CHECK(y == 0.0f);
    x[3] = 1e-42f;  // the inverse of its scale overflows
    for (const float y : restored(type, stored(type, x), 32)) CHECK(y == 0.0f);
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -1e30f}) {
      x[3] = bad;
      CHECK_THROWS_AS(stored(type, x), Error);
    }
  }
}

TEST_CASE("plain types are exact through conversion of a tensor") {
  const auto x = ramp(6 * 32);
  const Tensor t = Tensor::from_floats({6, 32}, x);
  for (const Type type : {Type::f32, Type::f16, Type::bf16}) {
    const Tensor back = to_float(convert(t, type));
    for (std::size_t i = 0; i < x.size(); ++i) CHECK(back.floats()[i] == x[i]);  // 7 significant bits
  }
  CHECK(convert(t, Type::q8_0).bytes().size() == 6 * 34);
  CHECK_THROWS_AS(convert(Tensor::from_floats({2, 3}, std::span(x).first(6)), Type::q4_0), Error);
}

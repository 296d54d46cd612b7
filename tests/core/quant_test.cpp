// Stored forms against vectors of the reference implementation (ggml) and against exact arithmetic.
#include "core/quant/blocks.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
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
  const char *first, *last, *hash, *hash_of_256;  // the last only where eight blocks make 256 values
  std::array<float, 4> values;                    // 0, 1, 17 and the last
  double rmse;
};

const Golden kGolden[] = {
    {Type::q8_0, "4d229dfb59b61472d02e8be947a50361", "68c62481df3d9af8", "e5abdd1422fe86ed", "4f897b8c3095b49b",
     {-1.21831512f, -0.0615310669f, -0.504554749f, -0.098449707f}, 0.003360},
    {Type::q4_0, "4032f258be1379df359bf147ac0268ce", "f147ac0268ce248a", "002bf66f0ecb985c", "c1efd05223a1fb4c",
     {-1.171875f, 0.0f, -0.5859375f, 0.0f}, 0.060767},
    {Type::q4_1, "893240bef257bd1379cf358ae146ac02", "e146ac0268bd2479", "f4d39471d0e1d149", "192deaf55ea62614",
     {-1.15405273f, -0.13293457f, -0.541381836f, -0.13293457f}, 0.057209},
    {Type::q5_0, "402eb4b4a525f4bf7b27e3ae5a16d19d", "d19d4904c08c38f4", "72d5226f2eb57370", "7dbc46cf00299430",
     {-1.171875f, -0.09765625f, -0.48828125f, -0.09765625f}, 0.028838},
    {Type::q5_1, "532e40beb4b4a525f3bf6b27e2ae5a16", "d19d4904c07c38f3", "1d130149a75edcf6", "f0c202bca512deba",
     {-1.26605225f, -0.0802612305f, -0.475524902f, -0.0802612305f}, 0.028710},
    {Type::q2_k, "bcdfeebeefaceeacdedecddffedeffce", "6d861bb1012c9d2e", "5bd85d30306d0bba", nullptr,
     {-1.13665771f, -0.385925293f, -0.404907227f, 0.51171875f}, 0.230363},
    {Type::q3_k, "66cdb366d9336c9936cc9b66cdb366d9", "660900fc003fdfa3", "fe726bce57266d71", nullptr,
     {-1.19911194f, 0.0f, -0.461196899f, 0.0f}, 0.120026},
    {Type::q4_k, "de1a8026fffffffafff8fafaceafbfbc", "f359be156ac1268c", "d516d4635b44ab2e", nullptr,
     {-1.17711639f, -0.120883942f, -0.543376923f, 0.111450195f}, 0.054389},
    {Type::q5_k, "86165326fdfdfdfdfefbfdfeffcdedfd", "f7b36f2be7a25e1a", "9b0984363953941b", nullptr,
     {-1.24019432f, -0.0743846893f, -0.4629879f, 0.0952129364f}, 0.026054},
    {Type::q6_k, "45df28bc069f137cf08ad367f14ade28", "897a867a8487758e", "841829225f898c3f", nullptr,
     {-1.22369885f, -0.0453221798f, -0.500514507f, 0.0953736305f}, 0.012614},
};

std::size_t block_length(Type type) { return static_cast<std::size_t>(info(type).block_length); }

constexpr Type kBlockTypes[] = {Type::q8_0, Type::q4_0, Type::q4_1, Type::q5_0, Type::q5_1,
                                Type::q2_k, Type::q3_k, Type::q4_k, Type::q5_k, Type::q6_k};

}  // namespace

TEST_CASE("block quantisation gives the reference's bytes and values") {
  for (const Golden& g : kGolden) {
    CAPTURE(info(g.type).name);
    const std::size_t length = block_length(g.type);
    const auto x = ramp(length);
    const auto bytes = stored(g.type, x);
    CHECK(hex(Bytes(bytes).first(16)) == g.first);
    CHECK(hex(Bytes(bytes).last(8)) == g.last);
    CHECK(fnv(bytes) == g.hash);
    if (g.hash_of_256) CHECK(fnv(stored(g.type, ramp(256))) == g.hash_of_256);
    const auto y = restored(g.type, bytes, length);
    CHECK(y[0] == g.values[0]);
    CHECK(y[1] == g.values[1]);
    CHECK(y[17] == g.values[2]);
    CHECK(y.back() == g.values[3]);
    double squares = 0;
    for (std::size_t i = 0; i < length; ++i) squares += (x[i] - y[i]) * (x[i] - y[i]);
    CHECK(std::sqrt(squares / static_cast<double>(length)) == doctest::Approx(g.rmse).epsilon(1e-3));
  }
}

namespace {

/// A block of bytes that only the layout gives a meaning, with halves of known value in the places of its scales.
std::vector<std::byte> arbitrary_block(Type type) {
  std::vector<std::byte> block(static_cast<std::size_t>(info(type).block_bytes));
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::byte>((73 * i + 19) % 256);
  const auto put = [&](std::size_t at, std::uint16_t half) { std::memcpy(block.data() + at, &half, 2); };
  switch (type) {
    case Type::q4_1:
    case Type::q5_1: put(2, 0xb800); [[fallthrough]];
    case Type::q8_0:
    case Type::q4_0:
    case Type::q5_0: put(0, 0x2c00); break;
    case Type::q2_k: put(80, 0x2400), put(82, 0x2000); break;
    case Type::q4_k:
    case Type::q5_k: put(0, 0x2400), put(2, 0x2000); break;
    case Type::q3_k: put(108, 0x2400); break;
    default: put(208, 0x2400); break;
  }
  return block;
}

}  // namespace

TEST_CASE("blocks of arbitrary bytes decode as the layout says") {
  struct Layout {
    Type type;
    float sum, weighted_sum;
    std::vector<float> values;  // at 0, 16, 31, 32, 100, 128, 200, 255, as far as the block goes
  };
  const Layout kLayouts[] = {
      {Type::q8_0, 17.0f, 607.0f, {-5.6875f, 3.3125f, 7.75f}},
      {Type::q4_0, -0.4375f, -1.125f, {-0.1875f, 0.125f, 0.375f}},
      {Type::q4_1, -1.3125f, -16.8125f, {-0.0625f, -0.3125f, -0.0625f}},
      {Type::q5_0, -1.1875f, -63.75f, {0.5625f, 0.75f, 0.0625f}},
      {Type::q5_1, 10.9375f, 146.0625f, {1.1875f, 0.8125f, 0.125f}},
      {Type::q2_k, 29.875f, 3858.578125f, {0.1328125f, 0.5234375f, 0.3359375f, -0.078125f, 0.328125f, 0.4765625f, -0.0546875f, 0.2734375f}},
      {Type::q3_k, 9.5f, 1708.4375f, {0.890625f, -0.9375f, 0.625f, 0.0f, -1.171875f, 1.078125f, 0.140625f, 0.0f}},
      {Type::q4_k, 645.125f, 83963.75f, {2.3671875f, 2.3671875f, 8.3828125f, -0.28125f, 3.515625f, 0.5234375f, 8.0390625f, 1.9921875f}},
      {Type::q5_k, 1486.125f, 197066.25f, {16.1171875f, 16.1171875f, 8.3828125f, -0.28125f, -0.421875f, 0.5234375f, 20.2890625f, 2.3046875f}},
      {Type::q6_k, 192.1875f, 36419.3125f, {-13.359375f, 8.3125f, 4.375f, -45.765625f, -9.296875f, 8.015625f, 24.609375f, 1.625f}},
  };
  constexpr std::size_t kPlaces[] = {0, 16, 31, 32, 100, 128, 200, 255};
  for (const Layout& l : kLayouts) {
    CAPTURE(info(l.type).name);
    const auto y = restored(l.type, arbitrary_block(l.type), block_length(l.type));
    double sum = 0, weighted = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      sum += static_cast<double>(y[i]);
      weighted += static_cast<double>(i + 1) * static_cast<double>(y[i]);
    }
    CHECK(sum == static_cast<double>(l.sum));
    CHECK(weighted == doctest::Approx(static_cast<double>(l.weighted_sum)).epsilon(1e-7));
    for (std::size_t i = 0; i < l.values.size(); ++i) CHECK(y[kPlaces[i]] == l.values[i]);
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
  for (const Type type : kBlockTypes) {
    CAPTURE(info(type).name);
    const std::size_t length = block_length(type);
    std::vector<float> x(length, 0.0f);
    for (const float y : restored(type, stored(type, x), length)) CHECK(y == 0.0f);
    for (const float tiny : {1e-42f, -1e-42f, 1e-36f, -1e-28f}) {  // the inverses of some scales overflow
      x[3] = tiny;
      for (const float y : restored(type, stored(type, x), length)) CHECK(y == 0.0f);
    }
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -1e30f}) {
      x[3] = bad;
      CHECK_THROWS_AS(stored(type, x), Error);
    }
  }
}

TEST_CASE("a block of one value keeps it to the precision of its scale") {
  for (const Type type : kBlockTypes)
    for (const float value : {0.75f, -0.75f}) {
      CAPTURE(info(type).name);
      CAPTURE(value);
      const std::vector<float> x(block_length(type), value);
      for (const float y : restored(type, stored(type, x), x.size())) CHECK(y == doctest::Approx(value).epsilon(2e-3));
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

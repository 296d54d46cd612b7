// The central promise: any partition of a model gives the bits of one process.
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <memory>
#include <random>

#include <doctest/doctest.h>

#include "tests/oracle/fake_group.h"
#include "tests/oracle/small_llama.h"

using namespace starling::core;
using namespace starling::tests;

namespace {

constexpr std::size_t kTokens = 19;

/// Random uneven shares: cut points drawn with repetition, so that some ranks have no heads or no ffn work.
std::vector<LlamaSlice> random_slices(const LlamaConfig& c, int ranks, std::mt19937& engine) {
  const std::int64_t unit = units(c).ffn_columns, ffn_units = (c.ffn + unit - 1) / unit;
  const auto cuts = [&](std::int64_t last) {
    std::vector<std::int64_t> points{0, last};
    for (int i = 1; i < ranks; ++i) points.push_back(static_cast<std::int64_t>(engine() % static_cast<std::uint32_t>(last + 1)));
    std::sort(points.begin(), points.end());
    return points;
  };
  const auto heads = cuts(c.kv_heads), columns = cuts(ffn_units);
  std::vector<LlamaSlice> slices;
  for (std::size_t i = 0; i + 1 < heads.size(); ++i)
    slices.push_back({heads[i], heads[i + 1], std::min(c.ffn, columns[i] * unit), std::min(c.ffn, columns[i + 1] * unit)});
  return slices;
}

LlamaConfig random_config(std::mt19937& engine, Type cache) {
  const auto pick = [&](std::initializer_list<std::int64_t> values) { return *(values.begin() + engine() % values.size()); };
  LlamaConfig c;
  c.width = pick({32, 64, 96, 160});
  c.layers = pick({1, 2});
  c.kv_heads = pick({1, 2, 3, 5});
  c.heads = c.kv_heads * pick({1, 2, 3});
  c.head_size = cache == Type::q8_0 ? pick({32, 64}) : pick({16, 20, 32, 48});
  c.ffn = pick({32, 64, 160, 352, 1152});
  c.vocabulary = 40;
  c.context = 64;
  return c;
}

std::vector<TokenId> tokens_of(std::mt19937& engine) {
  std::vector<TokenId> tokens(kTokens);
  for (TokenId& token : tokens) token = static_cast<TokenId>(engine() % 40);
  return tokens;
}

/// Hidden states after prefill of all but two tokens and two single steps.
std::vector<float> steps(Runner& runner, std::span<const TokenId> tokens, Group& group) {
  auto all = runner.forward(tokens.first(kTokens - 2), 0, group);
  for (std::size_t i = kTokens - 2; i < kTokens; ++i) {
    const auto one = runner.forward(tokens.subspan(i, 1), static_cast<std::int64_t>(i), group);
    all.insert(all.end(), one.begin(), one.end());
  }
  return all;
}

}  // namespace

TEST_CASE("hidden states have the same bits on every rank of any partition, for all weight and cache types") {
  std::mt19937 engine(42);
  for (const Type weights : {Type::f32, Type::f16, Type::q8_0, Type::q4_0})
    for (const Type cache : {Type::f32, Type::f16, Type::q8_0})
      for (int round = 0; round < 3; ++round) {
        const LlamaConfig config = random_config(engine, cache);
        const LlamaModel m = random_llama(config, weights, engine());
        const auto tokens = tokens_of(engine);
        Alone alone;
        Runner single(m, whole(config), cache, kTokens);
        const auto expected = steps(single, tokens, alone);
        REQUIRE(std::all_of(expected.begin(), expected.end(), [](float v) { return std::isfinite(v); }));
        for (const int ranks : {1, 2, 3, 4, 5, 8}) {
          const auto slices = random_slices(config, ranks, engine);
          std::vector<std::unique_ptr<Runner>> runners;
          for (const LlamaSlice& slice : slices)
            runners.push_back(std::make_unique<Runner>(m, slice, cache, kTokens, ranks == 3 ? 2 : 1));
          std::vector<std::vector<float>> results(slices.size());
          FakeGroups(ranks).run([&](Group& group) {
            const auto rank = static_cast<std::size_t>(group.rank());
            results[rank] = steps(*runners[rank], tokens, group);
          });
          CAPTURE(info(weights).name);
          CAPTURE(info(cache).name);
          CAPTURE(ranks);
          for (const auto& result : results) CHECK(result == expected);
        }
      }
}

TEST_CASE("a plain F32 sum agrees to rounding over several ranks") {
  std::mt19937 engine(7);
  const LlamaConfig config = random_config(engine, Type::f32);
  const LlamaModel m = random_llama(config, Type::f32, 1);
  const auto tokens = tokens_of(engine);
  Alone alone;
  Runner single(m, whole(config), Type::f32, kTokens);
  const auto expected = steps(single, tokens, alone);
  const auto slices = random_slices(config, 3, engine);
  std::vector<std::unique_ptr<Runner>> runners;
  for (const LlamaSlice& slice : slices) runners.push_back(std::make_unique<Runner>(m, slice, Type::f32, kTokens, 1, Sum::fast));
  FakeGroups(3).run([&](Group& group) {
    const auto result = steps(*runners[static_cast<std::size_t>(group.rank())], tokens, group);
    for (std::size_t i = 0; i < result.size(); ++i) CHECK(result[i] == doctest::Approx(expected[i]).epsilon(1e-3));
  });
}

TEST_CASE("a rank whose partial sum leaves the exact range fails, whoever holds it") {
  std::mt19937 engine(8);
  LlamaConfig config = random_config(engine, Type::f32);
  config.ffn = 64, config.layers = 1;
  LlamaModel m = random_llama(config, Type::f32, 2);
  m.blocks[0].down.mutable_floats()[40] = 0x1p30f;  // a column of the second unit
  const auto tokens = tokens_of(engine);
  for (const std::int64_t cut : {0, 32, 64}) {
    Runner first(m, {0, config.kv_heads, 0, cut}, Type::f32, kTokens), second(m, {0, 0, cut, 64}, Type::f32, kTokens);
    CHECK_THROWS_WITH_AS(FakeGroups(2).run([&](Group& group) { (group.rank() == 0 ? first : second).forward(tokens, 0, group); }),
                         doctest::Contains("outside the exact range"), Error);
  }
}

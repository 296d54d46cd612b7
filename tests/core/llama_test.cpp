// The Llama equation: published logits, chunked prefill, threads, and any partition over ranks that are threads.
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>

#include <doctest/doctest.h>

#include "core/file.h"
#include "core/formats/format.h"
#include "core/text/tokenizer.h"
#include "tests/data.h"
#include "tests/oracle/small_llama.h"

using namespace starling::core;
using namespace starling::tests;

namespace {

std::vector<float> last_logits(const LlamaModel& m, std::span<const float> hidden) {
  Pool pool(1);
  const auto width = static_cast<std::size_t>(m.config.width);
  std::vector<float> result(static_cast<std::size_t>(m.config.vocabulary)), last(hidden.end() - static_cast<std::ptrdiff_t>(width), hidden.end());
  logits(m.ends, m.config, last, result, pool);
  return result;
}

struct Golden {
  LlamaConfig config;
  std::size_t best;
  float first[4];
  double sum;
};

LlamaConfig planted_config(std::int64_t head_size, float base) {
  return {.width = 64, .layers = 2, .heads = 4, .kv_heads = 2, .head_size = head_size, .ffn = 96, .vocabulary = 48,
          .context = 1024, .norm_epsilon = 1e-5f, .rope_base = base, .rope_divisors = {}, .tied = false};
}

LlamaConfig awkward_config() {  // an ffn of two and a half units of 32, head sizes that no vector divides
  return {.width = 72, .layers = 2, .heads = 6, .kv_heads = 3, .head_size = 20, .ffn = 80, .vocabulary = 50,
          .context = 256, .norm_epsilon = 1e-5f, .rope_base = 10000, .rope_divisors = {}, .tied = false};
}

std::vector<TokenId> some_tokens(std::size_t count, TokenId vocabulary) {
  std::vector<TokenId> tokens;
  for (std::size_t j = 0; j < count; ++j) tokens.push_back(static_cast<TokenId>((7 * j + 3) % static_cast<std::size_t>(vocabulary)));
  return tokens;
}

}  // namespace

TEST_CASE("planted models give the published logits") {
  CHECK(planted_tensor("token_embd.weight", {4}).floats()[1] == doctest::Approx(0.145893663));
  CHECK(planted_tensor("output_norm.weight", {2}).floats()[1] == doctest::Approx(1.241243124));
  Golden cases[] = {{planted_config(16, 5e5f), 47, {-0.12953f, -0.16727f, 0.27541f, -0.28479f}, 12.55114},
                    {planted_config(32, 1e6f), 2, {0.14953f, -0.13145f, 2.83285f, 0.47399f}, 8.68266}};
  cases[0].config.rope_divisors = llama3_divisors(16, 5e5, 8, 1, 4, 8192);
  for (const Golden& golden : cases) {
    const LlamaModel m = planted_llama(golden.config);
    Runner runner(m, whole(m.config), Type::f32, 12);
    Alone alone;
    const auto result = last_logits(m, runner.forward(some_tokens(12, 48), 0, alone));
    CHECK(static_cast<std::size_t>(std::max_element(result.begin(), result.end()) - result.begin()) == golden.best);
    for (std::size_t i = 0; i < 4; ++i) CHECK(std::abs(result[i] - golden.first[i]) < 1e-4);
    CHECK(std::abs(std::accumulate(result.begin(), result.end(), 0.0) - golden.sum) < 1e-4);
  }
}

TEST_CASE("prefill in chunks of 1, 7, 64 or whole, on 1, 2 or 3 threads, gives the same bits") {
  for (const LlamaConfig& config : {planted_config(32, 1e4f), awkward_config()})
    for (const Type type : {Type::f32, Type::q8_0}) {
      const LlamaModel m = random_llama(config, type, 100);
      const auto tokens = some_tokens(150, 48);
      Alone alone;
      for (const Type cache : {Type::f32, Type::f16, Type::q8_0}) {
        if (config.head_size % info(cache).block_length != 0) continue;
        const auto expected = Runner(m, whole(config), cache, 150).forward(tokens, 0, alone);
        CHECK(std::all_of(expected.begin(), expected.end(), [](float v) { return std::isfinite(v); }));
        for (const std::size_t chunk : {1, 7, 64})
          CHECK(Runner(m, whole(config), cache, 150).forward_chunks(tokens, chunk, alone) == expected);
        for (const int threads : {2, 3})
          for (const std::size_t chunk : {1, 150})
            CHECK(Runner(m, whole(config), cache, 150, threads).forward_chunks(tokens, chunk, alone) == expected);
      }
    }
}

TEST_CASE("the fast sum agrees with the exact one to rounding") {
  const LlamaModel m = random_llama(planted_config(16, 1e4f), Type::f32, 5);
  Alone alone;
  const auto tokens = some_tokens(20, 48);
  const auto exact = Runner(m, whole(m.config), Type::f32, 20).forward(tokens, 0, alone);
  const auto fast = Runner(m, whole(m.config), Type::f32, 20, 1, Sum::fast).forward(tokens, 0, alone);
  for (std::size_t i = 0; i < exact.size(); ++i) CHECK(fast[i] == doctest::Approx(exact[i]).epsilon(1e-4));
}

TEST_CASE("a partial sum outside the exact range ends with the layer and the way out; so does NaN") {
  LlamaModel m = random_llama(planted_config(16, 1e4f), Type::f32, 6);
  const auto tokens = some_tokens(3, 48);
  Alone alone;
  m.blocks[1].down.mutable_floats()[5] = 0x1p30f;
  CHECK_THROWS_WITH_AS(Runner(m, whole(m.config), Type::f32, 3).forward(tokens, 0, alone),
                       doctest::Contains("layer 1: a partial sum of the feed-forward part is"), Error);
  CHECK_NOTHROW(Runner(m, whole(m.config), Type::f32, 3, 1, Sum::fast).forward(tokens, 0, alone));
  m.blocks[0].attention_output.mutable_floats()[7] = std::nanf("");
  try {
    Runner(m, whole(m.config), Type::f32, 3).forward(tokens, 0, alone);
    FAIL("NaN went through");
  } catch (const Error& error) {
    CHECK(error.kind() == Kind::unsupported);
    CHECK(std::string(error.what()) ==
          "layer 0: a partial sum of the attention output is nan, outside the exact range of 1048576; use --sum fast");
  }
}

TEST_CASE("units are a property of the model, and a slice is cut from shared bytes where it can be") {
  LlamaConfig config = planted_config(16, 1e4f);
  CHECK(units(config).attention_columns == 32);
  for (const auto& [ffn, unit] : {std::pair{1023, 32}, {1024, 128}, {4095, 128}, {4096, 256}, {28672, 256}}) {
    config.ffn = ffn;
    CHECK(units(config).ffn_columns == unit);
  }
  const LlamaModel m = random_llama(awkward_config(), Type::f16, 7);
  const LlamaBlock& block = m.blocks[0];
  const LlamaBlock all = cut(block, m.config, whole(m.config));
  CHECK(all.down.bytes().data() == block.down.bytes().data());
  const LlamaBlock part = cut(block, m.config, {1, 3, 64, 80});
  CHECK(part.query.bytes().data() == block.query.row_bytes(40).data());
  CHECK(part.key.shape() == Shape{40, 72});
  CHECK(part.attention_output.shape() == Shape{72, 80});
  CHECK(part.down.shape() == Shape{72, 16});
  CHECK(part.down.row_bytes(3)[5] == block.down.row_bytes(3)[64 * 2 + 5]);
  const LlamaBlock nothing = cut(block, m.config, {2, 2, 80, 80});
  CHECK(nothing.query.rows() == 0);
  CHECK(nothing.down.shape() == Shape{72, 0});
  CHECK_THROWS_AS(cut(block, m.config, {0, 1, 16, 80}), Error);
}

TEST_CASE("a quantised matrix whose blocks a unit would cut is expanded, also when nothing is cut") {
  LlamaConfig config = planted_config(16, 1e4f);
  config.heads = 6, config.kv_heads = 2, config.width = 96;  // units of 48 columns
  const LlamaModel m = random_llama(config, Type::q8_0, 8);
  REQUIRE(m.blocks[0].attention_output.type() == Type::q8_0);
  CHECK(cut(m.blocks[0], config, whole(config)).attention_output.type() == Type::f32);
  CHECK(cut(m.blocks[0], config, {0, 1, 0, 32}).attention_output.type() == Type::f32);
  CHECK(cut(m.blocks[0], config, {0, 1, 0, 32}).down.type() == Type::q8_0);
}

TEST_CASE("a slice that begins inside a block holds the whole block, and knows where its columns begin") {
  LlamaConfig config = planted_config(16, 1e4f);
  config.width = 256, config.heads = 8, config.kv_heads = 4, config.head_size = 96, config.ffn = 1280;  // units of 192 and 128
  const LlamaModel m = random_llama(config, Type::q4_k, 8);
  const LlamaBlock part = cut(m.blocks[0], config, {1, 3, 128, 640});
  CHECK(part.attention_output.type() == Type::q4_k);
  CHECK(part.attention_output.shape() == Shape{256, 768});  // columns 192 to 576
  CHECK(first_column(part.attention_output, 192) == 192);
  CHECK(part.down.shape() == Shape{256, 768});  // columns 128 to 640
  CHECK(first_column(part.down, 128) == 128);
  const LlamaBlock last = cut(m.blocks[0], config, {3, 4, 640, 1280});
  CHECK(last.attention_output.shape() == Shape{256, 256});  // columns 576 to 768
  CHECK(first_column(last.attention_output, 576) == 64);
  CHECK(last.attention_output.row_bytes(5)[7] == m.blocks[0].attention_output.row_bytes(5)[2 * 144 + 7]);
  CHECK(cut(m.blocks[0], config, {1, 1, 640, 640}).down.shape() == Shape{256, 0});
}

TEST_CASE("token ids outside the vocabulary and caches that cannot be are refused by value") {
  const LlamaModel m = random_llama(planted_config(16, 1e4f), Type::f32, 9);
  std::vector<float> hidden(64);
  for (const TokenId id : {-1, 48}) {
    const TokenId tokens[] = {id};
    CHECK_THROWS_WITH_AS(embed(m.ends, m.config, tokens, hidden), doctest::Contains("outside the vocabulary of 48"), Error);
  }
  CHECK_THROWS_WITH_AS(KvCache(m.config, whole(m.config), Type::q8_0, 4), doctest::Contains("multiple of 32 values, not 16"), Error);
  CHECK_THROWS_AS(KvCache(m.config, whole(m.config), Type::q4_0, 4), Error);
  CHECK(KvCache(m.config, whole(m.config), Type::f16, 10).bytes() == 2 * 2 * 2 * 10 * 16 * 2);
}

TEST_CASE("stories260K writes the expected 200 greedy tokens") {
  const auto path = data_file("stories260k/stories260K.bin");
  if (!path) return;
  LlamaModel m = format_of(*path).load(*path);
  const auto tokenizer = make_tokenizer(format_of(*path).vocabulary(*path));
  Runner runner(m, whole(m.config), Type::f32, 256);
  Alone alone;
  std::vector<TokenId> tokens = tokenizer->encode("");
  REQUIRE(tokens.size() == 1);
  for (std::int64_t position = 0; position < 200; ++position) {
    const auto result = last_logits(m, runner.forward(std::span(tokens).last(1), position, alone));
    tokens.push_back(static_cast<TokenId>(std::max_element(result.begin(), result.end()) - result.begin()));
  }
  CHECK(tokenizer->decode(std::span(tokens).subspan(1)) == read_text(*data_file("stories260k/expected_greedy_n200.txt"), 10000));
}

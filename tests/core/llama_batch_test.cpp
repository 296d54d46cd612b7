// Several sequences in one forward pass have the bits that each has alone.
#include <deque>

#include <doctest/doctest.h>

#include "tests/oracle/fake_group.h"
#include "tests/oracle/small_llama.h"

using namespace starling::core;
using namespace starling::tests;

namespace {

LlamaConfig config_with(std::int64_t head_size) {
  return {.width = 64, .layers = 2, .heads = 6, .kv_heads = 3, .head_size = head_size, .ffn = 80, .vocabulary = 40,
          .context = 64, .norm_epsilon = 1e-5f, .rope_base = 10000, .rope_divisors = {}, .tied = false};
}

std::vector<TokenId> tokens_of(std::size_t sequence, std::size_t count) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < count; ++i) tokens.push_back(static_cast<TokenId>((11 * sequence + 7 * i + 3) % 40));
  return tokens;
}

/// Runs many sequences on one rank's slice, each over a cache of its own, by steps that mix them.
class Batch {
 public:
  Batch(const LlamaModel& model, const LlamaSlice& slice, Type cache, std::span<const std::vector<TokenId>> sequences, int threads)
      : runner_(model, slice, cache, 64, threads), sequences_(sequences), done_(sequences.size()), results_(sequences.size()) {
    for (std::size_t i = 0; i < sequences.size(); ++i) caches_.emplace_back(model.config, slice, cache, 48);
  }

  /// counts[i] tokens of sequence order[i].
  void step(std::span<const std::size_t> order, std::span<const std::size_t> counts, Group& group) {
    std::vector<Segment> segments;
    std::vector<TokenId> tokens;
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::size_t s = order[i];
      segments.push_back({&caches_[s], static_cast<std::int64_t>(done_[s]), static_cast<std::int64_t>(counts[i])});
      const auto part = std::span(sequences_[s]).subspan(done_[s], counts[i]);
      tokens.insert(tokens.end(), part.begin(), part.end());
      done_[s] += counts[i];
    }
    const auto width = static_cast<std::size_t>(runner_.model.config.width);
    std::vector<float> hidden(tokens.size() * width);
    embed(runner_.model.ends, runner_.model.config, tokens, hidden);
    forward_blocks({runner_.model.config, runner_.slice, runner_.blocks}, hidden, segments, runner_.workspace, group, runner_.pool);
    auto row = hidden.begin();
    for (std::size_t i = 0; i < order.size(); ++i) {
      const auto end = row + static_cast<std::ptrdiff_t>(counts[i] * width);
      results_[order[i]].insert(results_[order[i]].end(), row, end);
      row = end;
    }
  }

  const std::vector<std::vector<float>>& results() const { return results_; }

 private:
  Runner runner_;
  std::span<const std::vector<TokenId>> sequences_;
  std::deque<KvCache> caches_;
  std::vector<std::size_t> done_;
  std::vector<std::vector<float>> results_;
};

void run_mixed(Batch& batch, Group& group) {
  const auto step = [&](std::initializer_list<std::size_t> order, std::initializer_list<std::size_t> counts) {
    batch.step({order.begin(), order.size()}, {counts.begin(), counts.size()}, group);
  };
  step({0}, {9});
  step({0, 2, 1}, {1, 13, 4});
  step({3, 1, 0, 2}, {20, 1, 1, 5});
  for (int i = 0; i < 3; ++i) step({2, 0, 3, 1}, {1, 1, 1, 1});
}

}  // namespace

TEST_CASE("a batch of sequences at different places gives each the bits it has alone, on any ranks and threads") {
  const std::vector<std::vector<TokenId>> sequences{tokens_of(0, 14), tokens_of(1, 8), tokens_of(2, 21), tokens_of(3, 23)};
  for (const Type weights : {Type::f32, Type::q8_0})
    for (const Type cache : {Type::f32, Type::f16, Type::q8_0}) {
      const LlamaConfig config = config_with(cache == Type::q8_0 ? 32 : 20);
      const LlamaModel model = random_llama(config, weights, 50);
      Alone alone;
      std::vector<std::vector<float>> expected;
      for (const auto& tokens : sequences) expected.push_back(Runner(model, whole(config), cache, 48).forward(tokens, 0, alone));
      for (const int threads : {1, 3}) {
        Batch batch(model, whole(config), cache, sequences, threads);
        run_mixed(batch, alone);
        CHECK(batch.results() == expected);
      }
      Batch first(model, {0, 1, 0, 64}, cache, sequences, 1), second(model, {1, 3, 64, 80}, cache, sequences, 2);
      FakeGroups(2).run([&](Group& group) { run_mixed(group.rank() == 0 ? first : second, group); });
      CHECK(first.results() == expected);
      CHECK(second.results() == expected);
    }
}

TEST_CASE("logits of several rows in one product have the bits of one row at a time") {
  const LlamaModel model = random_llama(config_with(20), Type::q8_0, 51);
  Alone alone;
  Runner runner(model, whole(model.config), Type::f32, 48);
  std::vector<float> hidden = runner.forward(tokens_of(0, 9), 0, alone);
  std::vector<float> one_by_one(9 * 40), together(9 * 40);
  const std::size_t width = 64;
  for (std::size_t i = 0; i < 9; ++i) {
    std::vector<float> row(hidden.begin() + static_cast<std::ptrdiff_t>(i * width), hidden.begin() + static_cast<std::ptrdiff_t>((i + 1) * width));
    logits(model.ends, model.config, row, std::span(one_by_one).subspan(i * 40, 40), runner.pool);
  }
  logits(model.ends, model.config, hidden, together, runner.pool);
  CHECK(together == one_by_one);
}

TEST_CASE("a sequence goes on over copied keys and values as over its own") {
  const LlamaModel model = random_llama(config_with(32), Type::f32, 52);
  const auto tokens = tokens_of(5, 20);
  for (const Type cache : {Type::f32, Type::q8_0}) {
    Alone alone;
    const auto expected = Runner(model, whole(model.config), cache, 48).forward(tokens, 0, alone);
    Runner source(model, whole(model.config), cache, 48), other(model, whole(model.config), cache, 48);
    source.forward(tokens, 0, alone);
    other.forward(tokens_of(6, 30), 0, alone);
    other.cache.copy_from(source.cache, 12);
    const auto rest = other.forward(std::span(tokens).subspan(12), 12, alone);
    CHECK(std::equal(rest.begin(), rest.end(), expected.end() - static_cast<std::ptrdiff_t>(rest.size())));
  }
  KvCache small(model.config, whole(model.config), Type::f32, 8), large(model.config, whole(model.config), Type::f32, 9);
  CHECK_THROWS_AS(small.copy_from(large, 1), Error);
}

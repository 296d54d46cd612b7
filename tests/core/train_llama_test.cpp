// The trainable Llama and the one of inference are one model: the same logits from the same values, also through a file.
#include <cmath>

#include <doctest/doctest.h>

#include "core/models/load.h"
#include "core/text/byte_vocabulary.h"
#include "core/text/tokenizer.h"
#include "core/train/llama.h"
#include "tests/core/small_model.h"
#include "tests/oracle/small_llama.h"

using namespace starling;
using namespace starling::core;

namespace {

ModelOptions small_options() {
  ModelOptions o;
  o.name = "llama";
  o.input = {80};
  o.classes = kByteVocabularySize;
  o.width = 48;
  o.layers = 3;
  o.heads = 6;
  o.kv_heads = 2;
  o.ffn = 80;  // two units and a half
  return o;
}

/// Values of a size that keeps every part of the model busy.
Parameters lively(const ModelOptions& o) {
  Parameters p(make_model(o)->layout());
  initialise(p, 11);
  for (std::size_t entry = 0; entry < p.layout->entries().size(); ++entry) {
    const bool norm = p.layout->entry(entry).part == Part::norm;
    int i = 0;
    for (float& v : p.value(entry)) v = norm ? 1 + 0.3f * std::sin(static_cast<float>(++i)) : 4 * v;
  }
  return p;
}

std::vector<TokenId> tokens_of(std::size_t count) {
  std::vector<TokenId> tokens{kByteBos};
  while (tokens.size() < count) tokens.push_back(static_cast<TokenId>((tokens.size() * 37 + 5) % kByteVocabularySize));
  return tokens;
}

/// Logits of every place by the program's forward pass.
std::vector<float> inferred(const LlamaModel& m, std::span<const TokenId> tokens, Type cache = Type::f32) {
  tests::Runner runner(m, whole(m.config), cache, static_cast<std::int64_t>(tokens.size()));
  Alone alone;
  std::vector<float> hidden = runner.forward_chunks(tokens, 7, alone);
  std::vector<float> all(tokens.size() * static_cast<std::size_t>(m.config.vocabulary));
  logits(m.ends, m.config, hidden, all, runner.pool);
  return all;
}

std::vector<float> taped(const ModelOptions& o, Parameters& p, std::span<const TokenId> tokens, int threads = 1, std::int64_t copies = 1) {
  Pool pool(threads);
  Tape tape(pool, false, false);
  tape.begin(p);
  std::vector<std::int32_t> all;
  for (std::int64_t i = 0; i < copies; ++i) all.insert(all.end(), tokens.begin(), tokens.end());
  const Var v = make_model(o)->logits(tape, {copies, {}, all, all});
  return {tape.value(v).begin(), tape.value(v).end()};
}

double largest_difference(std::span<const float> a, std::span<const float> b) {
  double largest = 0, worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(a[i])));
    worst = std::max(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return worst / largest;
}

}  // namespace

TEST_CASE("trained values give inference the logits of the tape") {
  const ModelOptions o = small_options();
  Parameters p = lively(o);
  const auto tokens = tokens_of(80);
  const auto expected = taped(o, p, tokens);
  const LlamaModel m = trained_llama(o, p.values, byte_vocabulary());
  const auto found = inferred(m, tokens);
  REQUIRE(found.size() == expected.size());
  CHECK(*std::max_element(expected.begin(), expected.end()) > 0.5f);
  const double difference = largest_difference(expected, found);
  MESSAGE("largest difference relative to the largest logit: ", difference);
  CHECK(difference <= 1e-5);
  // The rows of a batch are those of one text, with any number of threads.
  const auto three = taped(o, p, tokens, 2, 3);
  for (std::size_t copy = 0; copy < 3; ++copy)
    CHECK(std::equal(expected.begin(), expected.end(), three.begin() + static_cast<std::ptrdiff_t>(copy * expected.size())));
}

TEST_CASE("gradients of a llama have the same bits with any number of threads") {
  const ModelOptions o = small_options();
  const auto tokens = tokens_of(80);
  std::vector<std::int32_t> batch, labels;
  for (int i = 0; i < 4; ++i) {
    batch.insert(batch.end(), tokens.begin(), tokens.end());
    labels.insert(labels.end(), tokens.begin() + 1, tokens.end());
    labels.push_back(i);
  }
  const auto gradients = [&](int threads) {
    Parameters p = lively(o);
    Pool pool(threads);
    Tape t(pool, true, true);
    const auto model = make_model(o);
    t.begin(p);
    t.backward(cross_entropy(t, model->logits(t, {4, {}, batch, labels}), labels));
    return p.gradients;
  };
  const auto one = gradients(1);
  CHECK(std::all_of(one.begin(), one.end(), [](float g) { return std::isfinite(g); }));
  CHECK(gradients(2) == one);
  CHECK(gradients(5) == one);
}

TEST_CASE("a llama that is asked for what follows the last token counts no other place") {
  const ModelOptions o = small_options();
  const auto model = make_model(o);
  const std::vector<std::int32_t> tokens{1, 2, 3, 4, 5, 6}, labels{7, 8};
  CHECK(model->row_labels({2, {}, tokens, labels}) == std::vector<std::int32_t>{-1, -1, 7, -1, -1, 8});
}

TEST_CASE("a trained llama written as GGUF reads back with the same logits and encodes text") {
  const tests::Folder folder;
  const ModelOptions o = small_options();
  Parameters p = lively(o);
  save_gguf(folder / "trained.gguf", trained_llama(o, p.values, byte_vocabulary()), Type::f32);
  const LlamaModel read = load_model(folder / "trained.gguf");
  CHECK(read.config == llama_config(o));
  const auto tokenizer = make_tokenizer(read.vocabulary);
  const auto tokens = tokenizer->encode("The small bird\n");
  CHECK(tokens.size() == 16);
  CHECK(inferred(read, tokens) == inferred(trained_llama(o, p.values, byte_vocabulary()), tokens));
  CHECK(largest_difference(taped(o, p, tokens), inferred(read, tokens)) <= 1e-5);
  CHECK_THROWS_WITH_AS(trained_llama(o, std::span<const float>(p.values).first(10), byte_vocabulary()), doctest::Contains("10 values, expected"), Error);
  CHECK_THROWS_WITH_AS(trained_llama(o, p.values, tests::small_vocabulary()), doctest::Contains("a vocabulary of 272 for 260 classes"), Error);
}

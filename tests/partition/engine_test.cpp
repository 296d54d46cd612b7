// The engine: every sequence has the bits it has alone, whoever shares its steps; nothing is computed twice; every
// request ends.
#include "partition/engine.h"

#include <atomic>
#include <cmath>
#include <future>

#include <doctest/doctest.h>

#include "tests/partition/engine_fixture.h"

using namespace starling;
using core::TokenId;
using partition::Ending;
using tests::EngineRun;
using tests::prompt_of;
using tests::Writer;
using tests::Written;

namespace {

/// Prompts of several lengths, of which some begin alike.
std::vector<std::vector<TokenId>> some_prompts() {
  std::vector<std::vector<TokenId>> prompts;
  for (const std::size_t count : {1, 5, 40, 23, 17}) prompts.push_back(prompt_of(count, count));
  for (const std::size_t count : {3, 9, 30}) {
    prompts.push_back(prompt_of(40, 20));
    const auto rest = prompt_of(count, count);
    prompts.back().insert(prompts.back().end(), rest.begin(), rest.end());
  }
  return prompts;
}

template <class Condition>
void wait_until(const Condition& condition) {
  for (int i = 0; i < 60000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  REQUIRE(condition());
}

}  // namespace

TEST_CASE("a sequence has its bits alone or in any batch, in any pieces, with or without reuse, on any ranks and threads") {
  for (const core::Type type : {core::Type::f32, core::Type::q8_0}) {
    const core::LlamaModel model = tests::random_llama(tests::engine_config(), type, 3);
    const auto prompts = some_prompts();
    std::vector<Written> expected;
    for (const auto& prompt : prompts) expected.push_back(tests::written_alone(model, prompt, 20, core::Type::f16));
    struct Case {
      std::int64_t sequences, rows;
      int ranks, threads;
      bool reuse;
    };
    for (const Case& c : {Case{1, 1, 1, 1, true}, Case{4, 7, 1, 1, true}, Case{8, 64, 1, 2, false}, Case{8, 8, 1, 1, true}, Case{3, 11, 2, 1, true},
                          Case{5, 64, 3, 2, true}, Case{4, 9, 4, 1, false}}) {
      CAPTURE(c.sequences);
      CAPTURE(c.ranks);
      EngineRun run(model, {.sequences = c.sequences, .rows = c.rows, .ranks = c.ranks, .threads = c.threads, .engine = {.reuse_prefixes = c.reuse}});
      for (int round = 0; round < 2; ++round) {  // the second finds what the first left
        std::vector<std::shared_ptr<Writer>> writers;
        for (const auto& prompt : prompts) writers.push_back(run.submit(prompt, 20));
        for (std::size_t i = 0; i < prompts.size(); ++i) CHECK(writers[i]->written() == expected[i]);
      }
      CHECK((run.engine().status().reused_tokens > 0) == c.reuse);
    }
  }
}

TEST_CASE("a second request with the same 512 tokens computes only what is new") {
  const core::LlamaModel model = tests::random_llama(tests::engine_config(1), core::Type::f32, 4);
  for (const int ranks : {1, 2}) {
    EngineRun run(model, {.sequences = 2, .positions = 600, .rows = 64, .ranks = ranks});
    auto prompt = prompt_of(1, 512);
    auto other = prompt;
    prompt.push_back(3);
    other.push_back(4), other.push_back(5);
    const Written expected = tests::written_alone(model, other, 4, core::Type::f16);
    CHECK(run.submit(prompt, 1)->written().ids.size() == 1);
    wait_until([&] { return run.engine().status().running == 0; });
    CHECK(run.engine().status().computed_tokens == 513);
    const auto second = run.submit(other, 4);
    CHECK(second->written() == expected);
    CHECK(second->cached() == 512);
    wait_until([&] { return run.engine().status().running == 0; });
    const auto status = run.engine().status();
    CHECK(status.computed_tokens == 513 + 2 + 3);
    CHECK(status.reused_tokens == 512);
    CHECK(status.prompt_tokens == 513 + 514);
    CHECK(status.generated_tokens == 3);  // the tokens that were given back
    CHECK(status.finished == 2);
  }
}

TEST_CASE("eight requests with one long beginning compute it once") {
  const core::LlamaModel model = tests::random_llama(tests::engine_config(1), core::Type::f32, 5);
  EngineRun run(model, {.sequences = 8, .positions = 300, .rows = 64});
  std::vector<std::shared_ptr<Writer>> writers;
  for (TokenId i = 0; i < 8; ++i) {
    auto prompt = prompt_of(2, 256);
    prompt.push_back(i);
    writers.push_back(run.submit(prompt, 3));
  }
  for (const auto& writer : writers) writer->written();
  CHECK(run.engine().status().reused_tokens == 7 * 256);
}

TEST_CASE("a full queue, an empty or too long prompt and a strange token are refused") {
  const core::LlamaModel model = tests::random_llama(tests::engine_config(1), core::Type::f32, 6);
  std::promise<void> go;
  auto gone = go.get_future().share();
  EngineRun run(model, {.sequences = 1, .positions = 32, .rows = 8, .engine = {.queue = 2}});
  const auto kind_of = [&](std::vector<TokenId> prompt) {
    try {
      run.submit(std::move(prompt), 1);
    } catch (const core::Error& error) {
      return error.kind();
    }
    return core::Kind::internal;
  };
  CHECK(kind_of({}) == core::Kind::usage);
  CHECK(kind_of(prompt_of(1, 33)) == core::Kind::usage);
  CHECK(kind_of({50}) == core::Kind::usage);
  CHECK(kind_of({-1}) == core::Kind::usage);
  const auto first = run.submit(prompt_of(1, 3), 2, [gone] { gone.wait(); });
  first->cached();
  wait_until([&] { return run.engine().status().waiting == 0; });
  const auto second = run.submit(prompt_of(2, 3), 2), third = run.submit(prompt_of(3, 3), 2);
  CHECK(run.engine().status().waiting == 2);
  CHECK(kind_of(prompt_of(4, 3)) == core::Kind::overloaded);
  go.set_value();
  for (const auto& writer : {first, second, third}) CHECK(writer->written().ids.size() == 2);
  CHECK(run.submit(prompt_of(4, 3), 2)->written().ids.size() == 2);
}

TEST_CASE("a cancelled request ends at once, in whatever phase it is, and its slot serves the next") {
  const core::LlamaModel model = tests::random_llama(tests::engine_config(1), core::Type::f32, 7);
  EngineRun run(model, {.sequences = 1, .positions = 900, .rows = 2});
  partition::Engine& engine = run.engine();
  for (int round = 0; round < 3; ++round) {
    // While it writes: the request that runs cancels itself in the middle of a step.
    auto writer = std::make_shared<Writer>(800);
    std::promise<partition::SequenceId> id;
    auto known = id.get_future().share();
    std::atomic<int> calls{0};
    writer->during_next = [&] {
      if (++calls == 3) engine.cancel(known.get());
    };
    id.set_value(engine.submit({prompt_of(1, 5), writer}));
    CHECK(writer->end().value().ending == Ending::cancelled);
    CHECK(calls == 3);
    // While its prompt is computed, with one more that waits behind it.
    auto computing = std::make_shared<Writer>(1), waiting = std::make_shared<Writer>(1);
    const auto first = engine.submit({prompt_of(static_cast<std::size_t>(10 + round), 800), computing});
    const auto second = engine.submit({prompt_of(3, 5), waiting});
    computing->cached();
    engine.cancel(second);
    engine.cancel(first);
    CHECK(computing->end().value().ending == Ending::cancelled);
    CHECK(waiting->end().value().ending == Ending::cancelled);
    CHECK(waiting->written().ids.empty());
    engine.cancel(first);  // over already: nothing happens
    CHECK(run.submit(prompt_of(4, 5), 2)->written().ids.size() == 2);
  }
  wait_until([&] { return engine.status().running == 0; });
  CHECK(engine.status().cancelled == 9);
  CHECK(engine.status().finished == 3);
}

TEST_CASE("a sequence ends with its context, after the token for which there was no room") {
  const core::LlamaModel model = tests::random_llama(tests::engine_config(1), core::Type::f32, 8);
  EngineRun run(model, {.sequences = 2, .positions = 12, .rows = 8});
  const auto writer = run.submit(prompt_of(1, 10), 100);
  CHECK(writer->end().value().ending == Ending::context_full);
  CHECK(writer->written() == tests::written_alone(model, prompt_of(1, 10), 3, core::Type::f16));
  CHECK(run.submit(prompt_of(2, 12), 1)->written().ids.size() == 1);
}

TEST_CASE("a decoder that throws, or chooses no token of the vocabulary, ends alone") {
  class Strange final : public partition::Decoder {
   public:
    explicit Strange(bool throws) : throws_(throws) {}
    void started(std::int64_t) override {}
    std::optional<TokenId> next(std::span<const float>) override {
      if (throws_) throw std::runtime_error("a grammar without a way on");
      return 50;
    }
    void ended(Ending ending, const core::Error& why) override { over.set_value({ending, why.what()}); }
    std::promise<std::pair<Ending, std::string>> over;

   private:
    bool throws_;
  };
  const core::LlamaModel model = tests::random_llama(tests::engine_config(1), core::Type::f32, 9);
  EngineRun run(model, {});
  const auto other = run.submit(prompt_of(1, 4), 30);
  auto throwing = std::make_shared<Strange>(true), outside = std::make_shared<Strange>(false);
  run.engine().submit({prompt_of(2, 4), throwing});
  run.engine().submit({prompt_of(3, 4), outside});
  const auto first = throwing->over.get_future().get(), second = outside->over.get_future().get();
  CHECK(first.first == Ending::failed);
  CHECK(first.second == "a grammar without a way on");
  CHECK(second.second.find("outside the vocabulary") != std::string::npos);
  CHECK(other->written() == tests::written_alone(model, prompt_of(1, 4), 30, core::Type::f16));
}

TEST_CASE("an engine that ends tells everyone") {
  const core::LlamaModel model = tests::random_llama(tests::engine_config(1), core::Type::f32, 10);
  std::vector<std::shared_ptr<Writer>> writers;
  {
    EngineRun run(model, {.sequences = 2, .positions = 900});
    for (std::size_t i = 0; i < 5; ++i) writers.push_back(run.submit(prompt_of(i, 600), 200));
  }
  for (const auto& writer : writers) CHECK(writer->end().value().ending == Ending::cancelled);
}

TEST_CASE("an embedding is the mean of the normed rows, of length one, and does not depend on pieces, neighbours or ranks") {
  const core::LlamaModel model = tests::random_llama(tests::engine_config(), core::Type::q8_0, 11);
  const auto tokens = prompt_of(6, 37);
  const auto embedded = [&](const tests::EngineSetup& setup, bool neighbours) {
    EngineRun run(model, setup);
    std::vector<std::shared_ptr<Writer>> writers;
    if (neighbours)
      for (std::size_t i = 0; i < 3; ++i) writers.push_back(run.submit(prompt_of(6, 30 + i), 10));
    std::promise<std::vector<float>> done;
    run.engine().embed(tokens, [&](std::span<const float> values, const core::Error* why) {
      CHECK(why == nullptr);
      done.set_value({values.begin(), values.end()});
    });
    return done.get_future().get();
  };
  const auto expected = embedded({.sequences = 1, .rows = 64}, false);
  CHECK(embedded({.sequences = 3, .rows = 5}, true) == expected);
  CHECK(embedded({.sequences = 3, .rows = 7, .ranks = 3}, true) == expected);
  double square = 0;
  for (const float v : expected) square += static_cast<double>(v) * static_cast<double>(v);
  CHECK(std::abs(square - 1) < 1e-6);
  // Against the plain sum over a pass of the model.
  core::KvCache cache(model.config, core::whole(model.config), core::Type::f16, 37);
  core::LlamaWorkspace workspace(model.config, core::whole(model.config), 37);
  core::Alone alone;
  core::Pool pool(1);
  std::vector<core::LlamaBlock> blocks;
  for (const auto& block : model.blocks) blocks.push_back(core::cut(block, model.config, core::whole(model.config)));
  std::vector<float> hidden(37 * 64);
  core::embed(model.ends, model.config, tokens, hidden);
  const core::Segment segment{&cache, 0, 37};
  core::forward_blocks({model.config, core::whole(model.config), blocks}, hidden, {&segment, 1}, workspace, alone, pool);
  core::final_norm(model.ends, model.config, hidden, hidden, pool);
  std::vector<double> mean(64);
  double length = 0;
  for (std::size_t i = 0; i < hidden.size(); ++i) mean[i % 64] += static_cast<double>(hidden[i]) / 37;
  for (const double v : mean) length += v * v;
  for (std::size_t i = 0; i < 64; ++i) CHECK(std::abs(mean[i] / std::sqrt(length) - static_cast<double>(expected[i])) < 1e-6);
}

// The engine in the long run and in a cluster that fails.
#include <malloc.h>

#include <doctest/doctest.h>

#include "tests/partition/engine_fixture.h"

using namespace starling;
using core::TokenId;
using partition::Ending;
using tests::EngineRun;
using tests::prompt_of;
using tests::Writer;

namespace {

std::size_t bytes_in_use() {
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

template <class Condition>
void wait_until(const Condition& condition) {
  for (int i = 0; i < 60000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  REQUIRE(condition());
}

core::LlamaConfig tiny_config() {
  core::LlamaConfig c = tests::engine_config(1);
  c.width = 32, c.heads = 2, c.kv_heads = 1, c.head_size = 16, c.ffn = 32;
  return c;
}

}  // namespace

TEST_CASE("ten thousand short sequences, a tenth of them cancelled, leave the memory as it was and every slot free") {
  const core::LlamaModel model = tests::random_llama(tiny_config(), core::Type::f32, 20);
  EngineRun run(model, {.sequences = 8, .positions = 32, .rows = 16});
  partition::Engine& engine = run.engine();
  std::size_t before = 0;
  for (std::size_t round = 0; round < 100; ++round) {
    {
      std::vector<std::shared_ptr<Writer>> writers;
      for (std::size_t i = 0; i < 100; ++i) {
        writers.push_back(std::make_shared<Writer>(1 + i % 4));
        const auto id = engine.submit({prompt_of(i % 7, 1 + (round + i) % 12), writers.back()});
        if (i % 10 == round % 10) engine.cancel(id);
      }
      for (const auto& writer : writers) writer->end();
    }
    wait_until([&] { return engine.status().running == 0 && engine.status().waiting == 0; });
    if (round == 9) before = bytes_in_use();
  }
  const auto status = engine.status();
  CHECK(status.finished + status.cancelled == 10000);
  CHECK(status.failed == 0);
  CHECK(bytes_in_use() < before + 64 * 1024);
  CHECK(status.positions_used <= status.positions);
  // All eight slots serve.
  std::vector<std::shared_ptr<Writer>> writers;
  for (std::size_t i = 0; i < 8; ++i) writers.push_back(run.submit(prompt_of(i, 2), 20));
  for (const auto& writer : writers) CHECK(writer->written().ids.size() == 20);
  CHECK(engine.status().batch_sizes[8] > status.batch_sizes[8]);
}

TEST_CASE("when a rank fails every request ends with the reason, and the engine takes no other") {
  const core::LlamaModel model = tests::random_llama(tests::engine_config(), core::Type::f32, 21);
  for (const bool idle : {false, true}) {
    EngineRun run(model, {.sequences = 2, .positions = 900, .ranks = 3});
    CHECK(run.submit(prompt_of(9, 3), 2)->written().ids.size() == 2);
    std::vector<std::shared_ptr<Writer>> writers;
    if (!idle) {
      for (std::size_t i = 0; i < 4; ++i) writers.push_back(run.submit(prompt_of(i, 5), 890));
      writers[0]->cached();
    }
    run.pull_the_plug();
    for (const auto& writer : writers) {
      const auto end = writer->end();
      REQUIRE(end.has_value());
      CHECK(end->ending == Ending::failed);
      CHECK(end->why.find("the plug is pulled") != std::string::npos);
    }
    wait_until([&] { return !run.engine().status().failure.empty(); });
    CHECK(run.engine().status().running == 0);
    CHECK(run.engine().status().waiting == 0);
    try {
      run.submit(prompt_of(1, 3), 1);
      FAIL("accepted");
    } catch (const core::Error& error) {
      CHECK(error.kind() == core::Kind::unreachable);
      CHECK(std::string(error.what()).find("the plug is pulled") != std::string::npos);
    }
  }
}

TEST_CASE("one node outlives a step that fails: only the requests of that step end") {
  core::LlamaModel model = tests::random_llama(tests::engine_config(1), core::Type::f32, 22);
  const TokenId poison = 49;  // its row of the embedding makes partial sums that leave the exact range
  auto row = model.ends.embedding.mutable_floats().subspan(static_cast<std::size_t>(poison) * 64, 64);
  std::fill(row.begin(), row.end(), std::numeric_limits<float>::quiet_NaN());
  EngineRun run(model, {});
  const auto poisoned = run.submit({1, poison}, 3);
  REQUIRE(poisoned->end().has_value());
  CHECK(poisoned->end()->ending == Ending::failed);
  CHECK(poisoned->end()->kind == core::Kind::unsupported);
  const auto after = run.submit({1, 2, 3}, 3);
  CHECK(after->written() == tests::written_alone(model, std::vector<TokenId>{1, 2, 3}, 3, core::Type::f16));
}

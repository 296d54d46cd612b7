// The model of examples/quickstart against the PyTorch model that it was written from: the file is read, the text
// cut into ids, and the forward pass computed by code that shares nothing with ours.
#include <cmath>
#include <fstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/models/load.h"
#include "core/pool.h"
#include "core/text/tokenizer.h"
#include "partition/generate.h"
#include "tests/data.h"

namespace starling::tests {
namespace {

struct Reference {
  std::string prompt, text;
  std::vector<core::TokenId> prompt_ids, token_ids;
  std::vector<float> logits;  // after the prompt
};

Reference reference() {
  const nlohmann::json json = nlohmann::json::parse(std::ifstream(golden("quickstart_greedy.json")));
  return {json.at("prompt"), json.at("text"), json.at("prompt_ids"), json.at("token_ids"), json.at("logits")};
}

core::LlamaModel quickstart_model() {
  return core::load_model(std::filesystem::path(STARLING_SOURCE_DIR) / "examples/quickstart/model.gguf", {});
}

partition::ShardOptions alone(const core::LlamaModel& model) {
  partition::PlanOptions plan;
  plan.shares = {1.0};
  plan.names = {"single"};
  plan.positions = model.config.context;
  partition::ShardOptions options;
  options.plan = partition::make_plan(model, plan);
  return options;
}

TEST_CASE("the quickstart model tells the story that PyTorch tells with its weights") {
  const Reference expected = reference();
  const core::LlamaModel model = quickstart_model();
  const auto tokenizer = core::make_tokenizer(model.vocabulary);
  const std::vector<core::TokenId> prompt = tokenizer->encode(expected.prompt);
  CHECK(prompt == expected.prompt_ids);

  core::Pool pool(1);
  partition::ShardedLlama sharded(model, alone(model), nullptr, pool);
  partition::GenerateOptions options;
  options.tokens = static_cast<std::int64_t>(expected.token_ids.size());
  const partition::Generation generation = partition::generate(sharded, prompt, options);
  CHECK(generation.ids == expected.token_ids);
  REQUIRE(!generation.ids.empty());
  CHECK(tokenizer->ends_generation(generation.ids.back()));

  std::string text;
  core::TokenId previous = prompt.back();
  for (const core::TokenId id : generation.ids) {
    text += tokenizer->decode_next(previous, id);
    previous = id;
  }
  CHECK(text == expected.text);
}

TEST_CASE("the quickstart model's logits after the prompt are PyTorch's") {
  const Reference expected = reference();
  const core::LlamaModel model = quickstart_model();
  core::Pool pool(2);
  partition::ShardedLlama sharded(model, alone(model), nullptr, pool);
  const auto logits = sharded.forward(expected.prompt_ids, 0);
  REQUIRE(logits.size() == expected.logits.size());
  float largest = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) largest = std::max(largest, std::fabs(logits[i] - expected.logits[i]));
  CHECK(largest < 2e-4f);
}

}  // namespace
}  // namespace starling::tests

// perplexity and convert with mixtures, through the program, against sums over single steps of the model.
#include <cmath>
#include <fstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/models/load.h"
#include "core/text/tokenizer.h"
#include "partition/shard.h"
#include "tests/tools/program.h"

using namespace starling;
using nlohmann::json;
using tests::contains;
using tests::Ran;
using tests::run_starling;

namespace {

constexpr std::size_t kWindow = 24;

/// Token by token, window by window.
double expected_nll(const std::string& path, const std::string& text) {
  const core::LlamaModel model = core::load_model(path);
  const auto tokenizer = core::make_tokenizer(model.vocabulary);
  const auto ids = tokenizer->encode(text, {.add_special = false});
  partition::PlanOptions plan;
  plan.shares = {1.0};
  plan.names = {"single"};
  plan.memory_bytes = {0};
  plan.positions = kWindow;
  plan.kv_type = core::Type::f32;
  partition::ShardOptions options;
  options.plan = partition::make_plan(model, plan);
  core::Pool pool(1);
  partition::ShardedLlama alone(model, options, nullptr, pool);
  double sum = 0;
  for (std::size_t at = 0; at < ids.size(); at += kWindow - 1) {
    core::TokenId previous = *model.vocabulary.bos;
    for (std::size_t i = at; i < std::min(at + kWindow - 1, ids.size()); ++i) {
      const auto logits = alone.forward(std::span(&previous, 1), static_cast<std::int64_t>(i - at));
      double total = 0;
      for (const float logit : logits) total += std::exp(static_cast<double>(logit));
      sum += std::log(total) - static_cast<double>(logits[static_cast<std::size_t>(ids[i])]);
      previous = ids[i];
    }
  }
  return sum / static_cast<double>(ids.size());
}

}  // namespace

TEST_CASE("perplexity is that of single steps, the same on one process and on a cluster") {
  const tests::TemporaryFolder folder;
  const std::string model = folder / "m.gguf", text = "The rain came down on the small town, and nobody had an umbrella at all.";
  const Ran made = run_starling("bench make-model syn-1M " + model + " --type f32");
  REQUIRE_MESSAGE(made.status == 0, made.err);
  std::ofstream(folder / "text") << text;
  const std::string command = "perplexity " + model + " " + (folder / "text") + " --ctx 24 --json --prefill-chunk 7";
  const Ran alone = run_starling(command);
  REQUIRE_MESSAGE(alone.status == 0, alone.err);
  const json answer = json::parse(alone.out);
  CHECK(answer.at("nll").get<double>() == doctest::Approx(expected_nll(model, text)).epsilon(1e-9));
  CHECK(answer.at("perplexity").get<double>() == doctest::Approx(std::exp(answer.at("nll").get<double>())));
  CHECK(answer.at("windows").get<int>() > 1);
  const Ran three = run_starling(command + " --nodes local:3 --transport inproc");
  REQUIRE_MESSAGE(three.status == 0, three.err);
  CHECK(json::parse(three.out).at("nll") == answer.at("nll"));
  const Ran wide = run_starling("perplexity " + model + " " + (folder / "text") + " --ctx 100000000");
  CHECK(wide.status == 2);
  CHECK(contains(wide.err, "--ctx"));
}

TEST_CASE("convert writes a mixture, which the model then runs with") {
  const tests::TemporaryFolder folder;
  const std::string plain = folder / "f32.gguf", mixed = folder / "q4_k_m.gguf";
  REQUIRE(run_starling("bench make-model syn-1M " + plain + " --type f32").status == 0);
  const Ran ran = run_starling("convert " + plain + " " + mixed + " --type q4_k_m --json --threads 2");
  REQUIRE_MESSAGE(ran.status == 0, ran.err);
  CHECK(json::parse(ran.out).at("type") == "q4_k_m");
  const json shown = json::parse(run_starling("inspect " + mixed + " --json").out);
  CHECK(shown.at("metadata").at("general.file_type") == 15);
  CHECK(run_starling("generate " + mixed + " --prompt-ids 1,2,3 --tokens 4").status == 0);
  const Ran wrong = run_starling("convert " + plain + " " + (folder / "b.safetensors") + " --type q4_k_m");
  CHECK(wrong.status == 2);
  CHECK(contains(wrong.err, "only GGUF files hold q4_k_m"));
}

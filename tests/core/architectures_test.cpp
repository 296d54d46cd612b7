// Models of every family as Hugging Face transformers saves and computes them (tests/golden/make_architectures.py).
#include <cmath>
#include <fstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/formats/safetensors.h"
#include "core/models/load.h"
#include "tests/core/small_model.h"
#include "tests/oracle/family_models.h"

using namespace starling::core;
using namespace starling::tests;

TEST_CASE("checkpoints of every family give the logits of transformers, from their folder and converted to GGUF") {
  const nlohmann::json golden = nlohmann::json::parse(read_text(std::filesystem::path(STARLING_SOURCE_DIR) / "tests/golden/architectures.json", 1 << 20));
  REQUIRE(golden["cases"].size() == 13);
  const Folder folder;
  const LoadOptions no_vocabulary{.tokenizer = {}, .vocabulary_optional = true};
  double worst = 0;
  for (const nlohmann::json& c : golden["cases"]) {
    CAPTURE(c["name"].get<std::string>());
    std::filesystem::create_directories(folder / "hf");
    std::ofstream(folder / "hf/config.json") << c["config"];
    std::vector<Outgoing> tensors;
    for (const auto& [name, shape] : c["tensors"].items()) tensors.push_back(outgoing(name, planted_tensor(name, shape.get<Shape>()), Type::f32));
    write_safetensors(folder / "hf/model.safetensors", {}, tensors);
    const auto tokens = c["tokens"].get<std::vector<TokenId>>();
    const auto load = [&](const char* name) {
      LlamaModel m = load_model(folder / name, no_vocabulary);
      scale_rope(m.config, static_cast<std::int64_t>(tokens.size()), name);  // as partition::ShardedLlama does
      return m;
    };
    const LlamaModel model = load("hf");
    const auto logits = family_logits(model, tokens);
    const auto expected = c["logits"].get<std::vector<double>>();
    REQUIRE(logits.size() == expected.size());
    double largest = 0;
    for (const double value : expected) largest = std::max(largest, std::abs(value));
    double difference = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) difference = std::max(difference, std::abs(static_cast<double>(logits[i]) - expected[i]) / largest);
    CHECK(difference <= 1e-4);
    worst = std::max(worst, difference);
    if (model.config.attention_scale == 0) {  // which GGUF cannot say
      save_gguf(folder / "a.gguf", model, Type::f32);
      CHECK(family_logits(load("a.gguf"), tokens) == logits);
    }
    std::filesystem::remove_all(folder / "hf");
  }
  MESSAGE("largest difference relative to the largest logit: ", worst);
}

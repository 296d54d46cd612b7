// A few steps of training equal PyTorch's: losses, parameters and running statistics (tests/golden/train.json).
#include <cmath>
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/train/model.h"
#include "core/train/optimizer.h"

using namespace starling::core;

namespace {

/// The formula of make_train_golden.py.
void fill(Parameters& p) {
  for (std::size_t i = 0; i < p.layout->entries().size(); ++i) {
    const ParameterEntry& e = p.layout->entry(i);
    if (e.part == Part::statistic) continue;
    unsigned seed = 0;
    for (const char c : e.name) seed += static_cast<unsigned char>(c);
    const bool gain = e.part == Part::norm && e.name.ends_with("weight");
    const double fan_in = e.shape.size() > 1 ? static_cast<double>(e.size / e.shape[0]) : 400;
    const double scale = gain ? 0.1 : 1.5 / std::sqrt(fan_in);
    for (std::size_t k = 0; k < p.value(i).size(); ++k)
      p.value(i)[k] = static_cast<float>((gain ? 1.0 : 0.0) + scale * std::sin(0.7 * static_cast<double>(k) + seed % 97));
  }
}

OptimizerOptions optimizer(const std::string& name) {
  OptimizerOptions o;
  o.name = name.substr(0, name.find('-'));
  if (name == "sgd-nesterov") {
    o.momentum = 0.9;
    o.nesterov = true;
    o.weight_decay = 1e-3;
  }
  if (name == "sgd-momentum") {
    o.momentum = 0.9;
    o.dampening = 0.1;
  }
  if (name == "adam" || name == "adamw") o.weight_decay = 1e-2;
  if (name == "rmsprop") o.momentum = 0.5;
  return o;
}

}  // namespace

TEST_CASE("training steps equal PyTorch's") {
  std::ifstream in(std::filesystem::path(STARLING_SOURCE_DIR) / "tests/golden/train.json");
  const auto golden = nlohmann::json::parse(in);
  REQUIRE(golden.at("cases").size() == 13);
  for (const auto& c : golden.at("cases")) {
    const auto name = c.at("model").get<std::string>(), how = c.at("optimizer").get<std::string>();
    CAPTURE(name);
    CAPTURE(how);
    ModelOptions options;
    options.name = name;
    options.input = c.at("shape").get<Shape>();
    options.slim = name == "vgg9";
    const bool text = name == "char-lstm" || name == "llama";
    if (text) {
      options.classes = 20;
      options.width = 32;
    }
    if (name == "llama") {
      options.layers = 2;
      options.heads = 4;
      options.kv_heads = 2;
    }
    if (name == "vit-tiny") {
      options.width = 32;
      options.layers = 2;
    }
    const auto model = make_model(options);
    Parameters p(model->layout());
    initialise(p, 1);  // running statistics
    fill(p);
    constexpr std::int64_t kBatch = 4, kLength = 12;
    std::vector<float> values;
    std::vector<std::int32_t> tokens, labels;
    for (std::int64_t b = 0; b < kBatch; ++b) {
      if (!text) labels.push_back(static_cast<std::int32_t>(b));
      for (std::int64_t i = 0; text && i < kLength; ++i) {
        tokens.push_back(static_cast<std::int32_t>((b + i * i) % 20));
        labels.push_back(static_cast<std::int32_t>((b + (i + 1) * (i + 1)) % 20));
      }
    }
    for (std::int64_t i = 0; !text && i < kBatch * element_count(options.input); ++i) values.push_back(static_cast<float>(std::sin(0.1 * static_cast<double>(i))));
    const Batch batch{kBatch, values, tokens, labels};
    Pool pool(2);
    Tape tape(pool, true, true);
    const auto descent = make_optimizer(optimizer(how));
    for (const auto& expected : c.at("losses")) {
      tape.begin(p);
      p.clear_gradients();
      const Var loss = cross_entropy(tape, model->logits(tape, batch), model->row_labels(batch));
      CHECK(tape.value(loss)[0] == doctest::Approx(expected.get<double>()).epsilon(1e-4));
      tape.backward(loss);
      descent->step(p, c.at("rate").get<double>());
    }
    for (const auto& [entry, sums] : c.at("sums").items()) {
      CAPTURE(entry);
      const auto index = model->layout()->find(entry);
      REQUIRE(index.has_value());
      double sum = 0, size = 0;
      for (const float v : std::as_const(p).value(*index)) {
        sum += static_cast<double>(v);
        size += std::abs(static_cast<double>(v));
      }
      CHECK(std::abs(sum - sums.at(0).get<double>()) <= 2e-4 * size);
      CHECK(size == doctest::Approx(sums.at(1).get<double>()).epsilon(2e-4));
    }
  }
}

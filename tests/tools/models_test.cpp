// tokenize, inspect, convert and bench make-model, on models made here.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/models/load.h"
#include "core/quant/blocks.h"
#include "tests/data.h"
#include "tests/tools/program.h"

using namespace starling;
using nlohmann::json;
using tests::contains;
using tests::Ran;
using tests::run_starling;

namespace {

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void make(const std::string& arguments) {
  const Ran ran = run_starling("bench make-model " + arguments);
  REQUIRE_MESSAGE(ran.status == 0, ran.err);
}

}  // namespace

TEST_CASE("a made model depends on its seed and not on the number of threads") {
  const tests::TemporaryFolder folder;
  make("syn-1M " + (folder / "a.gguf") + " --seed 5 --threads 1");
  make("syn-1M " + (folder / "b.gguf") + " --seed 5 --threads 3");
  make("syn-1M " + (folder / "c.gguf") + " --seed 6");
  CHECK(contents(folder / "a.gguf") == contents(folder / "b.gguf"));
  CHECK(contents(folder / "a.gguf") != contents(folder / "c.gguf"));
}

TEST_CASE("a made model has the shape of its name and normal weights of standard deviation 0.02") {
  const tests::TemporaryFolder folder;
  make("syn-1M " + (folder / "m.gguf"));
  const core::LlamaModel model = core::load_model(folder / "m.gguf");
  CHECK(model.config.width == 128);
  CHECK(model.config.layers == 4);
  CHECK(model.config.heads == 4);
  CHECK(model.config.kv_heads == 2);
  CHECK(model.config.ffn == 352);
  CHECK(model.config.vocabulary == 512);
  CHECK_FALSE(model.config.tied);
  double sum = 0, squares = 0, fourth = 0, neighbours = 0, previous = 0, count = 0;
  for (const core::LlamaBlock& block : model.blocks) {
    for (const float value : block.attention_norm.floats()) CHECK(value == 1.0f);
    for (const core::Tensor* tensor : {&block.query, &block.key, &block.down})
      for (const float value : tensor->floats()) {
        sum += value;
        squares += double(value) * value;
        fourth += std::pow(double(value), 4);
        neighbours += value * previous;
        previous = value;
        ++count;
      }
  }
  const double variance = squares / count;
  CHECK(std::abs(sum / count) < 5 * 0.02 / std::sqrt(count));
  CHECK(std::sqrt(variance) == doctest::Approx(0.02).epsilon(0.01));
  CHECK(fourth / count / (variance * variance) == doctest::Approx(3.0).epsilon(0.03));  // kurtosis of the normal law
  CHECK(std::abs(neighbours / count / variance) < 0.01);
}

TEST_CASE("a made model can have every element type, which is the quantised F32 model") {
  const tests::TemporaryFolder folder;
  make("syn-1M " + (folder / "f32.gguf"));
  const core::LlamaModel plain = core::load_model(folder / "f32.gguf");
  for (const std::string type : {"f16", "bf16", "q8_0", "q4_0", "q5_1"}) {
    CAPTURE(type);
    make("syn-1M " + (folder / "t.gguf") + " --type " + type);
    const core::LlamaModel model = core::load_model(folder / "t.gguf");
    CHECK(core::info(model.blocks[1].up.type()).name == type);
    const core::Tensor expected = core::convert(plain.blocks[1].up, model.blocks[1].up.type());
    CHECK(std::equal(expected.bytes().begin(), expected.bytes().end(), model.blocks[1].up.bytes().begin()));
  }
}

TEST_CASE("any text goes through the vocabulary of a made model and back") {
  const tests::TemporaryFolder folder;
  const std::string model = folder / "m.gguf";
  make("syn-1M " + model);
  const std::string text = "Hello, the rain on \xC3\xBC\xF0\x9F\x90\xA6 9\n\ttabs  twice";
  std::ofstream(folder / "text") << text;
  const Ran encoded = run_starling("tokenize " + model + " --json --prompt-file " + (folder / "text"));
  REQUIRE_MESSAGE(encoded.status == 0, encoded.err);
  const json answer = json::parse(encoded.out);
  const auto ids = answer.at("token_ids").get<std::vector<int>>();
  CHECK(ids.size() == answer.at("tokens").get<std::size_t>());
  CHECK(ids.front() == 1);
  CHECK(ids.size() < text.size());  // words were found, not only bytes
  std::string list;
  for (const int id : ids) list += std::to_string(id) + ",";
  CHECK(run_starling("tokenize " + model + " --decode " + list).out == text);
  CHECK(json::parse(run_starling("tokenize " + model + " --json --decode " + list).out).at("text") == text);
}

TEST_CASE("tokenize without special tokens leaves the begin token out, and an empty text is no token") {
  const tests::TemporaryFolder folder;
  const std::string model = folder / "m.gguf";
  make("syn-1M " + model);
  CHECK(run_starling("tokenize " + model + " --prompt ''").out == "1\n");
  CHECK(run_starling("tokenize " + model + " --prompt '' --no-special").out == "\n");
  CHECK(run_starling("tokenize " + model + " --decode ''").out.empty());
  const Ran wrong = run_starling("tokenize " + model + " --decode 1,x");
  CHECK(wrong.status == 2);
  CHECK(contains(wrong.err, "--decode: '1,x' is no list of token ids"));
  const Ran outside = run_starling("tokenize " + model + " --decode 512");
  CHECK(outside.status == 2);
  CHECK(contains(outside.err, "512"));
}

TEST_CASE("kept vocabularies tokenize through the program") {
  const auto model = tests::data_file("tokenizers/ggml-vocab-llama-spm.gguf");
  if (!model) return;
  CHECK(run_starling("tokenize " + model->string() + " --no-special --prompt 'Hello world'").out == "15043 3186\n");
}

TEST_CASE("inspect shows format, metadata, tensors and totals") {
  const tests::TemporaryFolder folder;
  const std::string model = folder / "m.gguf";
  make("syn-1M " + model + " --type q8_0");
  const json file = json::parse(run_starling("inspect " + model + " --json").out);
  CHECK(file.at("bytes") == std::filesystem::file_size(model));
  CHECK(file.at("metadata").at("llama.block_count") == 4);
  CHECK(file.at("totals").at("tensors") == 39);
  CHECK(file.at("totals").at("parameters") == 869504);
  const Ran table = run_starling("inspect " + model);
  CHECK(table.status == 0);
  CHECK(contains(table.out, "blk.3.ffn_down.weight"));
  CHECK(contains(table.out, "39 tensors, 869504 parameters"));
}

TEST_CASE("convert changes the element type and keeps the rest") {
  const tests::TemporaryFolder folder;
  make("syn-1M " + (folder / "f32.gguf"));
  make("syn-1M " + (folder / "q8.gguf") + " --type q8_0");
  const Ran ran = run_starling("convert " + (folder / "f32.gguf") + " " + (folder / "out.gguf") + " --type q8_0 --json");
  REQUIRE_MESSAGE(ran.status == 0, ran.err);
  CHECK(json::parse(ran.out).at("bytes_out") == std::filesystem::file_size(folder / "out.gguf"));
  const core::LlamaModel made = core::load_model(folder / "q8.gguf"), converted = core::load_model(folder / "out.gguf");
  CHECK(made.config == converted.config);
  CHECK(made.vocabulary.pieces == converted.vocabulary.pieces);
  for (std::size_t i = 0; i < made.blocks.size(); ++i) {
    const core::Bytes a = made.blocks[i].query.bytes(), b = converted.blocks[i].query.bytes();
    CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()));
  }
}

TEST_CASE("a model survives the way through every format") {
  const tests::TemporaryFolder folder;
  make("syn-1M " + (folder / "a.gguf"));
  const auto convert = [&](const std::string& from, const std::string& to) {
    const Ran ran = run_starling("convert " + (folder / from) + " " + (folder / to) + " --type f32");
    REQUIRE_MESSAGE(ran.status == 0, ran.err);
  };
  convert("a.gguf", "b.safetensors");
  convert("b.safetensors", "c.gguf");
  const core::LlamaModel before = core::load_model(folder / "a.gguf"), after = core::load_model(folder / "c.gguf");
  CHECK(before.config == after.config);
  CHECK(before.vocabulary.pieces == after.vocabulary.pieces);
  for (std::size_t i = 0; i < before.blocks.size(); ++i)
    for (auto part : {&core::LlamaBlock::query, &core::LlamaBlock::key, &core::LlamaBlock::down}) {
      const core::Bytes a = (before.blocks[i].*part).bytes(), b = (after.blocks[i].*part).bytes();
      CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()));
    }
}

TEST_CASE("convert refuses what a format cannot hold, and leaves no file behind") {
  const tests::TemporaryFolder folder;
  make("syn-1M " + (folder / "a.gguf"));
  const Ran name = run_starling("convert " + (folder / "a.gguf") + " " + (folder / "b.xyz") + " --type f32");
  CHECK(name.status == 2);
  CHECK(contains(name.err, "b.xyz"));
  CHECK_FALSE(std::filesystem::exists(folder / "b.xyz"));
  std::ofstream(folder / "cut.gguf") << contents(folder / "a.gguf").substr(0, 1000);
  const Ran cut = run_starling("convert " + (folder / "cut.gguf") + " " + (folder / "b.gguf"));
  CHECK(cut.status == 2);
  CHECK(contains(cut.err, "cut.gguf"));
  CHECK_FALSE(std::filesystem::exists(folder / "b.gguf"));
}

// The program against what llama.cpp made of the same files: tests/golden/llama_cpp.json, written by make_llama_cpp.py.
#include <cmath>
#include <fstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/tools/program.h"

using namespace starling;
using nlohmann::json;
using tests::Ran;
using tests::run_starling;

namespace {

const std::string kModel = std::string(STARLING_SOURCE_DIR) + "/examples/quickstart/model.gguf";

json golden() { return json::parse(std::ifstream(std::string(STARLING_SOURCE_DIR) + "/tests/golden/llama_cpp.json")); }

std::string converted(const tests::TemporaryFolder& folder, const std::string& type) {
  const std::string path = folder / (type + ".gguf");
  const Ran ran = run_starling("convert " + kModel + " " + path + " --type " + type);
  REQUIRE_MESSAGE(ran.status == 0, ran.err);
  return path;
}

struct Agreement {
  std::int64_t steps = 0, same = 0, widest = 0;  // lead of a token that we do not find likeliest, in thousandths
};

/// Both sides are fed the same ids, with a cache of F32.
Agreement agreement(const tests::TemporaryFolder& folder, const json& expected, const std::string& type) {
  const json& theirs = expected.at("types").at(type);
  const std::string steps = folder / "steps";
  Agreement found;
  const std::string path = converted(folder, type);
  const Ran ran = run_starling("perplexity " + path + " " + (folder / "ids") + " --ids --ctx 256 --kv-type f32 --steps " + steps);
  REQUIRE_MESSAGE(ran.status == 0, ran.err);
  std::ifstream in(steps);
  std::string line;
  std::size_t window = 0;
  for (; std::getline(in, line); ++window) {
    const json ours = json::parse(line);
    REQUIRE(ours.at("tokens") == expected.at("windows").at(window));
    REQUIRE(ours.at("likeliest").size() == theirs.at("likeliest").at(window).size());
    REQUIRE(ours.at("gap").size() == ours.at("likeliest").size());
    for (std::size_t i = 0; i < ours.at("likeliest").size(); ++i) {
      const bool same = ours["likeliest"][i] == theirs["likeliest"][window][i];
      const auto lead = theirs["lead"][window][i].get<std::int64_t>();
      if (same && type == "f32") CHECK(std::abs(1000 * ours["gap"][i].get<double>() - static_cast<double>(lead)) < 1.1);
      ++found.steps;
      found.same += same;
      if (!same) found.widest = std::max(found.widest, lead);
    }
  }
  REQUIRE(window == expected.at("windows").size());
  return found;
}

}  // namespace

TEST_CASE("the likeliest tokens are llama.cpp's: all of them with floats, nearly all with quantised weights") {
  const tests::TemporaryFolder folder;
  const json expected = golden();
  std::ofstream ids(folder / "ids");
  for (const json& window : expected.at("windows"))
    for (const json& id : window) ids << id << ' ';
  ids.close();
  for (const auto& [type, theirs] : expected.at("types").items()) {
    CAPTURE(type);
    const Agreement found = agreement(folder, expected, type);
    CHECK(found.steps == 2040);
    if (type == "f32" || type == "f16") {
      CHECK(found.same == found.steps);
    } else {
      // Where one side rounds an activation to the next of 255 codes, logits move by some hundredths.
      CHECK(static_cast<double>(found.same) >= 0.995 * static_cast<double>(found.steps));
      CHECK(found.widest < 150);
    }
  }
}

TEST_CASE("greedy tokens of F32 weights and an F32 cache are llama.cpp's") {
  const tests::TemporaryFolder folder;
  const json expected = golden().at("greedy");
  const Ran ran = run_starling("generate " + converted(folder, "f32") + " --prompt-ids 1 --tokens " + std::to_string(expected.size()) + " --kv-type f32 --json");
  REQUIRE_MESSAGE(ran.status == 0, ran.err);
  CHECK(json::parse(ran.out).at("token_ids") == expected);
}

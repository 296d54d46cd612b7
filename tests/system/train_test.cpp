// `starling train --simulate` as a user runs it: the run folder, the same bits again, and what is refused.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/data.h"
#include "tests/system/metrics.h"
#include "tests/tools/program.h"

using namespace starling;
using tests::contains;
using tests::contents;
using tests::without_wall;

TEST_CASE("an experiment runs, learns, fills its folder, and gives the same bits with other threads") {
  const auto data = tests::data_file("fashion-mnist/t10k-labels-idx1-ubyte.gz");
  if (!data) return;
  const tests::TemporaryFolder folder;
  const std::string environment = "STARLING_DATA='" + data->parent_path().parent_path().string() + "'";
  const std::string command = "train '" STARLING_SOURCE_DIR "/examples/fashion-fedavg/experiment.toml' --simulate --set rounds=3 --set data.examples=3000 "
                              "--set client.learning_rate=0.1 --set client.epochs=3 --set data.alpha=5 --out ";
  const auto first = tests::run_starling(command + "'" + (folder / "one") + "' --threads 1", environment);
  REQUIRE_MESSAGE(first.status == 0, first.err);
  CHECK(contains(first.out, "fashion-fedavg: 3 rounds of fedavg, 20 clients, lenet5"));
  const auto summary = nlohmann::json::parse(contents(folder / "one/summary.json"));
  CHECK(summary.at("completed") == true);
  CHECK(summary.at("parameters") == 44426);
  CHECK(summary.at("test_accuracy").get<double>() > 0.3);
  CHECK(contains(contents(folder / "one/settings.toml"), "learning_rate = 0.1"));
  const auto second = tests::run_starling(command + "'" + (folder / "two") + "' --threads 2 --json", environment);
  REQUIRE(second.status == 0);
  CHECK(contents(folder / "two/model.safetensors") == contents(folder / "one/model.safetensors"));
  CHECK(without_wall(contents(folder / "two/metrics.jsonl")) == without_wall(contents(folder / "one/metrics.jsonl")));
  CHECK(contains(second.out, "\"test_accuracy\""));
  // The settings it wrote are the experiment once more.
  const auto again = tests::run_starling("train '" + (folder / "one/settings.toml") + "' --simulate --out '" + (folder / "three") + "'", environment);
  REQUIRE_MESSAGE(again.status == 0, again.err);
  CHECK(contents(folder / "three/model.safetensors") == contents(folder / "one/model.safetensors"));
  const auto twice = tests::run_starling(command + "'" + (folder / "one") + "'", environment);
  CHECK(twice.status == 2);
  CHECK(contains(twice.err, "holds a run already"));
}

TEST_CASE("an experiment begins with the weights of a file") {
  const tests::TemporaryFolder folder;
  const std::string experiment = "train '" STARLING_SOURCE_DIR "/examples/fashion-fedavg/experiment.toml' --simulate --set data.name=synthetic --set data.image_side=28 "
                                 "--set data.partition=iid --set data.examples_each=8 --set rounds=1 ";
  const auto run = [&](const std::string& out, const std::string& settings) {
    const auto ran = tests::run_starling(experiment + settings + "--out '" + (folder / out) + "'");
    REQUIRE_MESSAGE(ran.status == 0, ran.err);
    return contents(folder / (out + "/model.safetensors"));
  };
  const std::string first = run("first", "");
  const std::string given = "--set model.checkpoint='" + (folder / "first/model.safetensors") + "' ";
  CHECK(run("kept", given + "--set client.learning_rate=1e-30 --set seed=2 ") == first);
  CHECK(run("onwards", given) != first);
  const auto other = tests::run_starling(experiment + given + "--set model.name=mlp");
  CHECK(other.status == 2);
  CHECK(contains(other.err, "is none of the model's"));
}

TEST_CASE("owners of four texts train a llama that the program can run") {
  const tests::TemporaryFolder folder;
  REQUIRE(tests::run_starling("bench make-texts '" + (folder / "texts") + "' --bytes 6000").status == 0);
  const auto trained = tests::run_starling("train '" STARLING_SOURCE_DIR "/examples/quickstart-federated/experiment.toml' --simulate --set rounds=2 --set data.length=32 "
                                           "--set model.width=32 --set model.layers=1 --set data.path='" + (folder / "texts") + "' --out '" + (folder / "run") + "'");
  REQUIRE_MESSAGE(trained.status == 0, trained.err);
  CHECK(contains(trained.out, "4 clients, llama"));
  const auto generated = tests::run_starling("generate '" + (folder / "run/model.gguf") + "' --prompt 'The ' --tokens 8 --json");
  REQUIRE_MESSAGE(generated.status == 0, generated.err);
  CHECK(nlohmann::json::parse(generated.out).at("tokens") == 8);
  const auto none = tests::run_starling("train '" STARLING_SOURCE_DIR "/examples/quickstart-federated/experiment.toml' --simulate --set data.path=/nowhere");
  CHECK(none.status == 2);
  CHECK(contains(none.err, "/nowhere: no such folder; the data set 'text' is a folder with one .txt file for every client"));
}

TEST_CASE("experiments that cannot run are refused by name") {
  const std::string file = "'" STARLING_SOURCE_DIR "/examples/fashion-fedavg/experiment.toml'";
  const auto refused = [&](const std::string& arguments, const std::string& environment = "") {
    const auto ran = tests::run_starling("train " + arguments, environment);
    CHECK(ran.status == 2);
    return ran.err;
  };
  CHECK(contains(refused(file + " --simulate --set clock=wall"), "needs nodes that take their time"));
  CHECK(contains(refused(file + " --simulate --set model.name=lenet6"), "did you mean 'lenet5'?"));
  CHECK(contains(refused(file + " --simulate", "STARLING_DATA=/nowhere"), "github.com/zalandoresearch/fashion-mnist"));
  CHECK(contains(refused("/no/such.toml --simulate"), "/no/such.toml"));
  CHECK(contains(refused("--set rounds=1 --set clock=wall " + file + " --simulate"), "needs nodes that take their time"));  // options may come first
}

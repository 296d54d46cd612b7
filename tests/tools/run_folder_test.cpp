// Run folders as they are found: whole, still growing, resumed, broken; and what runs are compared by.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/tools/program.h"
#include "tests/tools/run_files.h"
#include "tools/report/comparison.h"
#include "tools/report/run_folder.h"

using namespace starling;
using namespace starling::tools;
using core::Kind;
using tests::contains;
using tests::metrics_line;
using tests::run_settings;
using tests::write_run;

TEST_CASE("a run folder is read whole") {
  const tests::TemporaryFolder folder;
  const std::string more = R"(, "refused": {"norm": 2, "examples": 1}, "kept": "too few", "drift": 0.25)";
  const RunFolder run = read_run(write_run(folder / "one", run_settings("tiny"), metrics_line(1, 0.5, 2, more) + metrics_line(2, 0.75, 1)));
  CHECK(run.name == "tiny");
  CHECK(run.completed);
  CHECK(run.parameters == 7850);
  CHECK(run.remarks.empty());
  CHECK(run.setting("strategy.name") == "fedavg");
  CHECK(run.setting("rounds") == "3");
  CHECK(run.settings.front().key == "name");
  REQUIRE(run.lines.size() == 2);
  CHECK(run.lines[0].refusals() == 3);
  CHECK(run.lines[0].kept == "too few");
  CHECK(run.lines[0].own == std::map<std::string, double>{{"drift", 0.25}});
  CHECK(run.lines[1].accuracy == 0.75);
  CHECK(run.lines[1].traffic() == 4e6);
}

TEST_CASE("what is broken is named by file, line and field") {
  const tests::TemporaryFolder folder;
  const std::string good = metrics_line(1, 0.5, 2);
  const auto with = [&](const std::string& second) { return good + second; };
  const std::pair<std::string, std::string> cases[] = {
      {"{\"round\": 2}\n", "metrics.jsonl: line 2: clients is missing"},
      {"nonsense\n", "metrics.jsonl: line 2: "},
      {"[1]\n", "metrics.jsonl: line 2: not a JSON object"},
      {metrics_line(2, 1.5, 2), "metrics.jsonl: line 2: test_accuracy = 1.5, expected 0 to 1"},
      {metrics_line(0, 0.5, 2), "metrics.jsonl: line 2: round = 0, expected at least 1"},
      {metrics_line(2, 0.5, 2, ", \"refused\": {\"norm\": -1}"), "metrics.jsonl: line 2: refused.norm = -1, expected at least 0"},
      {metrics_line(2, 0.5, 2, ", \"refused\": 3"), "metrics.jsonl: line 2: refused is not an object"},
      {metrics_line(2, 0.5, 2, ", \"round\": 3"), "metrics.jsonl: line 2: \"round\" appears twice"},
      {"{\"round\": 2, \"clients\": 3, \"dropped\": 0, \"virtual_s\": \"soon\"}\n", "line 2: virtual_s is not a number"},
      {"{\"round\": 2, \"clients\": 3.5, \"dropped\": 0}\n", "line 2: clients is not an integer"},
      {"{\"round\": 2, \"clients\": 3, \"dropped\": 0, \"virtual_s\": -1}\n", "line 2: virtual_s = -1, expected at least 0"},
      {std::string(2000, '[') + "\n", "line 2: "},
  };
  int number = 0;
  for (const auto& [line, said] : cases) {
    const auto run = write_run(folder / std::to_string(number++), run_settings("x"), with(line));
    const std::string message = tests::refusal(Kind::malformed, [&] { read_run(run); });
    CHECK_MESSAGE(contains(message, said), message);
    CHECK(contains(message, run.string()));
  }
}

TEST_CASE("what is missing is named") {
  const tests::TemporaryFolder folder;
  CHECK(contains(tests::refusal(Kind::missing, [&] { read_run(folder / "nowhere"); }), "nowhere: no such folder"));
  std::filesystem::remove(write_run(folder / "a") / "metrics.jsonl");
  CHECK(contains(tests::refusal(Kind::missing, [&] { read_run(folder / "a"); }), "a/metrics.jsonl"));
  std::filesystem::remove(write_run(folder / "b") / "settings.toml");
  CHECK(contains(tests::refusal(Kind::missing, [&] { read_run(folder / "b"); }), "b/settings.toml"));
  write_run(folder / "c", run_settings("c"), "\n");
  CHECK(contains(tests::refusal(Kind::missing, [&] { read_run(folder / "c"); }), "c/metrics.jsonl: holds no evaluated round yet"));
  write_run(folder / "d", "name = 'd'\nrounds = \n");
  CHECK(contains(tests::refusal(Kind::malformed, [&] { read_run(folder / "d"); }), "d/settings.toml: line 2: "));
  write_run(folder / "e", run_settings("e"), "", "{\"completed\": 7}");
  CHECK(contains(tests::refusal(Kind::malformed, [&] { read_run(folder / "e"); }), "e/summary.json: completed is not true or false"));
}

TEST_CASE("a run that is still going is read as far as it is") {
  const tests::TemporaryFolder folder;
  const std::string line = metrics_line(2, 0.6, 1);
  for (std::size_t cut = 1; cut + 1 < line.size(); ++cut) {  // at every byte of the last line
    const RunFolder run = read_run(write_run(folder / "cut", run_settings("x"), metrics_line(1, 0.5, 2) + line.substr(0, cut), ""));
    REQUIRE(run.lines.size() == 1);
    REQUIRE(run.remarks.size() == 2);
    CHECK(contains(run.remarks[0], "line 2) is unfinished"));
    CHECK(contains(run.remarks[1], "no summary.json"));
    CHECK_FALSE(run.ended);
  }
  CHECK(read_run(write_run(folder / "cut", run_settings("x"), metrics_line(1, 0.5, 2) + line.substr(0, line.size() - 1), "")).lines.size() == 2);
}

TEST_CASE("rounds that a resumed run computed again count as they came last") {
  const tests::TemporaryFolder folder;
  const std::string first = metrics_line(1, 0.1, 2) + metrics_line(2, 0.2, 2) + metrics_line(3, 0.3, 2);
  const RunFolder run = read_run(write_run(folder / "a", run_settings("x"), first + metrics_line(2, 0.25, 2)));
  REQUIRE(run.lines.size() == 2);
  CHECK(run.lines[1].accuracy == 0.25);
  CHECK(contains(run.remarks.at(0), "Rounds 2 to 3"));
}

TEST_CASE("bytes on the wire are a count of their own, not the strategy's") {
  const tests::TemporaryFolder folder;
  const RunFolder run = read_run(write_run(folder / "a", run_settings("x"), metrics_line(1, 0.1, 2, R"(, "uplink_wire_bytes": 5, "downlink_wire_bytes": 7)")));
  CHECK(run.lines[0].wire_bytes == 12);
  CHECK(run.lines[0].own.empty());
  CHECK(figures_of(run, {}).wire_bytes == 12);
}

TEST_CASE("a loss that is no number leaves a gap") {
  const tests::TemporaryFolder folder;
  const RunFolder run = read_run(write_run(
      folder / "a", run_settings("x"),
      "{\"round\":1,\"virtual_s\":1,\"clients\":1,\"dropped\":0,\"uplink_bytes\":1,\"downlink_bytes\":1,"
      "\"test_accuracy\":0.1,\"test_loss\":null,\"train_loss\":null}\n"));
  CHECK_FALSE(run.lines[0].loss.has_value());
  CHECK(run.lines[0].accuracy == 0.1);
}

TEST_CASE("runs of one name are told apart by their folders") {
  const tests::TemporaryFolder folder;
  const std::vector<std::filesystem::path> folders{write_run(folder / "a", run_settings("same")), write_run(folder / "b", run_settings("same")),
                                                   write_run(folder / "c", run_settings("other")), folder / "a/"};
  const auto runs = read_runs(folders);
  CHECK(runs[0].label == "a");
  CHECK(runs[1].label == "b");
  CHECK(runs[2].label == "other");
  CHECK(runs[3].label == "a (2)");
}

TEST_CASE("figures of a run, and what it took to reach an accuracy") {
  const tests::TemporaryFolder folder;
  const auto other = write_run(folder / "b", run_settings("tiny", "scaffold"), metrics_line(1, 0.2, 1));
  const std::vector<RunFolder> runs{read_run(write_run(folder / "a")), read_run(other)};
  const std::vector<double> targets{0.5, 0.75, 0.9};
  const Figures f = figures_of(runs[0], targets);
  CHECK(f.final_accuracy == 0.7);
  CHECK(f.best_accuracy == 0.75);
  CHECK(f.best_round == 2);
  CHECK(f.final_loss == 0.5);
  CHECK(*f.last_mean == doctest::Approx(0.65));
  CHECK(f.reached[0].round == 1);
  CHECK(f.reached[1].round == 2);
  CHECK(f.reached[1].bytes == 4e6);
  CHECK(f.reached[1].virtual_s == 200);
  CHECK_FALSE(f.reached[2].round.has_value());
  CHECK(usual_targets(runs) == std::vector<double>{0.6, 0.7, 0.75});
  const auto changed = differences(runs);
  REQUIRE(changed.size() == 1);
  CHECK(changed[0].key == "strategy.name");
  CHECK(changed[0].values == std::vector<std::string>{"fedavg", "scaffold"});
  const auto json = comparison_json(runs, std::vector{f, figures_of(runs[1], targets)});
  CHECK(json.at("runs").at(0).at("best_round") == 2);
  CHECK(json.at("runs").at(1).at("targets").at(2).at("round").is_null());
  CHECK(json.at("differences").at("strategy.name").at(1) == "scaffold");
}

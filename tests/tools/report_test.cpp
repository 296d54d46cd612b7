// `starling report` and `starling inspect` as a user runs them.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/tools/program.h"
#include "tests/tools/run_files.h"
#include "tools/report/line_chart.h"
#include "tools/report/report.h"

using namespace starling;
using tests::contains;
using tests::metrics_line;
using tests::read_text;
using tests::run_settings;
using tests::run_starling;
using tests::write_run;

namespace {

std::string in_quotes(const std::string& path) { return "'" + path + "'"; }

}  // namespace

TEST_CASE("the page of a run holds its figures, the points of its curves and every setting, and closes every tag") {
  const tests::TemporaryFolder folder;
  tests::write_images(folder.path(), "mnist", 40);
  write_run(folder / "run", run_settings("tiny"),
            metrics_line(1, 0.5, 2, ", \"refused\": {\"norm\": 2}, \"drift\": 3") + metrics_line(2, 0.75, 1) + metrics_line(3, 0.7, 0.5));
  const std::string environment = "STARLING_DATA=" + in_quotes(folder.path());
  const auto ran = run_starling("report " + in_quotes(folder / "run"), environment);
  REQUIRE_MESSAGE(ran.status == 0, ran.err);
  CHECK(ran.out == (folder / "run/report.html") + "\n");
  const std::string page = read_text(folder / "run/report.html");
  CHECK(tests::markup_fault(page) == "");
  for (const char* part : {"<title>tiny - Starling</title>", "70.00 %", "75.00 %", "in round 2", "3.0 MB", "7,850 parameters", "logistic", "5 min",
                           "data-x=\"1,2,3\" data-y=\"50.00,75.00,70.00\"", "data-x=\"2,4,6\" data-y=\"2,1,0.5\"",
                           "data-x=\"1.66667,3.33333,5\"", "<figcaption>drift</figcaption>",
                           "2 replies refused (norm: 2)", "round 1: 3 used, 1 dropped, 2 refused", "<code>strategy.name</code>",
                           "mnist, 4 clients by iid", "client 3, label ",
                           "prefers-color-scheme: dark"})
    CHECK_MESSAGE(contains(page, part), part);
  for (const char* part : {"http://", "https://", "src=", "@import", "nan", "Settings that differ"}) CHECK_FALSE_MESSAGE(contains(page, part), part);
  const auto again = run_starling("report " + in_quotes(folder / "run") + " --out " + in_quotes(folder / "again.html"), environment);
  CHECK(again.status == 0);
  CHECK(read_text(folder / "again.html") == page);
}

TEST_CASE("a page without the data says so and has everything else") {
  const tests::TemporaryFolder folder;
  write_run(folder / "run");
  const auto ran = run_starling("report " + in_quotes(folder / "run"), "STARLING_DATA=/nowhere");
  REQUIRE_MESSAGE(ran.status == 0, ran.err);
  const std::string page = read_text(folder / "run/report.html");
  CHECK(contains(page, "the data could not be dealt again: /nowhere/mnist"));
  CHECK(contains(page, "data-y=\"50.00,75.00,70.00\""));
  // Settings that only another version knows.
  write_run(folder / "run", run_settings("tiny") + "fancy = 3\n");
  REQUIRE(run_starling("report " + in_quotes(folder / "run")).status == 0);
  CHECK(contains(read_text(folder / "run/report.html"), "unknown key &#39;fancy&#39; in [strategy]"));
}

TEST_CASE("what a real clock timed is not called virtual") {
  const tests::TemporaryFolder folder;
  write_run(folder / "run", "clock = 'wall'\n" + run_settings("tiny"));
  CHECK(run_starling("report " + in_quotes(folder / "run"), "STARLING_DATA=/nowhere").status == 0);
  const std::string page = read_text(folder / "run/report.html");
  CHECK(contains(page, ">Time</label>"));
  CHECK_FALSE(contains(page, "irtual time"));
  CHECK(contains(run_starling("inspect " + in_quotes(folder / "run")).out, "3 of 3 rounds, time 5 min"));
}

TEST_CASE("several runs share a page: compared, their differences shown, as JSON too") {
  const tests::TemporaryFolder folder;
  write_run(folder / "a", run_settings("one"));
  write_run(folder / "b", run_settings("two", "scaffold"), metrics_line(1, 0.4, 2) + metrics_line(2, 0.8, 1) + "{\"round\": 3", "");
  const std::string both = in_quotes(folder / "a") + " " + in_quotes(folder / "b");
  const auto ran = run_starling("report --json --target 0.45 --target 0.78 " + both, "STARLING_DATA=/nowhere");
  REQUIRE_MESSAGE(ran.status == 0, ran.err);
  const auto json = nlohmann::json::parse(ran.out);
  CHECK(json.at("report") == folder / "a/report.html");
  CHECK(json.at("runs").size() == 2);
  CHECK(json.at("runs").at(0).at("run") == "one");
  CHECK(json.at("runs").at(0).at("targets").at(0).at("round") == 1);
  CHECK(json.at("runs").at(1).at("targets").at(0).at("round") == 2);
  CHECK(json.at("runs").at(0).at("targets").at(1).at("round").is_null());
  CHECK(json.at("runs").at(1).at("ended") == false);
  CHECK(json.at("differences").size() == 2);  // the name and the strategy
  const std::string page = read_text(folder / "a/report.html");
  CHECK(tests::markup_fault(page) == "");
  for (const char* part : {"<title>one and two - Starling</title>", "2 federated runs compared", "Settings that differ", "class=\"run c1 d0 r1\"",
                           "data-y=\"40.00,80.00\"",
                           "45 %", "&gt; 3", "(line 3) is unfinished", "<tr class=\"differs\">"})
    CHECK_MESSAGE(contains(page, part), part);
}

TEST_CASE("names are text wherever they stand") {
  const tests::TemporaryFolder folder;
  const std::string evil = "</script><script>alert(1)</script>";
  write_run(folder / "a", "name = \"" + evil + "\"\n[strategy]\nname = '<b onclick=\"x\">'\n[\"<i>\"]\n\"<u>\" = 1\n",
            metrics_line(1, 0.4, 2, ", \"<img>\": 1, \"refused\": {\"<a>\": 1}, \"kept\": \"<q>\""), "{\"completed\": false, \"why\": \"<em>\"}");
  write_run(folder / "b");
  const std::vector<std::filesystem::path> folders{folder / "a", folder / "b"};
  const auto runs = tools::read_runs(folders);
  const std::vector<tools::Figures> figures{tools::figures_of(runs[0], {}), tools::figures_of(runs[1], {})};
  const std::string page = tools::make_report(runs, figures);
  CHECK(tests::markup_fault(page) == "");
  CHECK(contains(page, "&lt;/script&gt;&lt;script&gt;alert(1)"));
  for (const char* part : {"<script>alert", "<b ", "<i>", "<u>", "<img", "<a>", "<q>", "<em>"}) CHECK_FALSE_MESSAGE(contains(page, part), part);
}

TEST_CASE("what cannot be reported is refused by name, and no page is written") {
  const tests::TemporaryFolder folder;
  const auto refused = [&](const std::string& arguments) {
    const auto ran = run_starling("report " + arguments);
    CHECK(ran.status == 2);
    CHECK(ran.out.empty());
    return ran.err;
  };
  CHECK(contains(refused("/no/such/run"), "/no/such/run: no such folder"));
  write_run(folder / "a", run_settings("a"), metrics_line(1, 2, 2));
  CHECK(contains(refused(in_quotes(folder / "a")), "metrics.jsonl: line 1: test_accuracy = 2, expected 0 to 1"));
  CHECK_FALSE(std::filesystem::exists(folder / "a/report.html"));
  write_run(folder / "b");
  CHECK(contains(refused(in_quotes(folder / "b") + " --target 70"), "--target"));
  std::string many;
  for (std::size_t i = 0; i <= tools::kRunsMax; ++i) many += " " + in_quotes(folder / "b");
  CHECK(contains(refused(many), "22 runs, at most 21"));
}

TEST_CASE("write_report takes a distribution that is known already") {
  const tests::TemporaryFolder folder;
  write_run(folder / "run");
  core::Examples train;
  train.count = 4;
  train.labels = {0, 1, 0, 1};
  const auto file = tools::write_report(folder / "run", tools::distribution_of({{0, 1}, {2}, {3}, {}}, train));
  CHECK(file == folder / "run/report.html");
  CHECK(contains(read_text(file), "client 0, label 1: 1 examples, 50.0 %"));
}

TEST_CASE("inspect shows how an experiment deals its data, and what came of a run") {
  const tests::TemporaryFolder folder;
  tests::write_images(folder.path(), "mnist", 40);
  const std::string environment = "STARLING_DATA=" + in_quotes(folder.path());
  tests::write_text(folder / "e.toml", "name = 'small'\n[data]\nname = 'mnist'\nclients = 5\npartition = 'labels'\nlabels_per_client = 2\n"
                                        "[model]\nname = 'logistic'\n[strategy]\nname = 'fedavg'\n");
  const auto text = run_starling("inspect " + in_quotes(folder / "e.toml"), environment);
  REQUIRE_MESSAGE(text.status == 0, text.err);
  CHECK(contains(text.out, "small: fedavg of logistic, 40 examples, mnist, seed 1\n5 clients by labels (labels_per_client = 2)"));
  CHECK(contains(text.out, "total variation of the labels"));
  const auto json = run_starling("inspect --json " + in_quotes(folder / "e.toml"), environment);
  REQUIRE(json.status == 0);
  const auto parsed = nlohmann::json::parse(json.out);
  CHECK(parsed.at("clients") == 5);
  CHECK(parsed.at("histogram").size() == 5);
  CHECK(parsed.at("sizes").size() == 5);
  CHECK(run_starling("inspect " + in_quotes(folder / "e.toml"), "STARLING_DATA=/nowhere").status == 2);
  write_run(folder / "run");
  const auto run = run_starling("inspect " + in_quotes(folder / "run"));
  REQUIRE_MESSAGE(run.status == 0, run.err);
  CHECK(run.out ==
        "tiny: fedavg of logistic, mnist, 4 clients\n3 of 3 rounds, virtual time 5 min, 3.0 MB up, 3.0 MB down\n"
        "test accuracy 70.00 % (best 75.00 % in round 2), loss 0.5000\n"
        "  60 % after 2 rounds, 4.0 MB, 3 min 20 s\n  70 % after 2 rounds, 4.0 MB, 3 min 20 s\n  75 % after 2 rounds, 4.0 MB, 3 min 20 s\n");
  CHECK(nlohmann::json::parse(run_starling("inspect --json " + in_quotes(folder / "run")).out).at("best_round") == 2);
}

TEST_CASE("two runs that train has written make one page") {
  const tests::TemporaryFolder folder;
  tests::write_images(folder.path(), "mnist", 80);
  const std::string environment = "STARLING_DATA=" + in_quotes(folder.path());
  tests::write_text(folder / "e.toml", "name = 'small'\nrounds = 3\n[data]\nname = 'mnist'\nclients = 4\npartition = 'dirichlet'\nmin_size = 1\n"
                                        "[model]\nname = 'logistic'\n");
  for (const std::string strategy : {"fedavg", "scaffold"}) {
    const std::string options = " --simulate --set strategy.name=" + strategy + " --out " + in_quotes(folder / strategy);
    const auto trained = run_starling("train " + in_quotes(folder / "e.toml") + options, environment);
    REQUIRE_MESSAGE(trained.status == 0, trained.err);
  }
  const std::string both = in_quotes(folder / "fedavg") + " " + in_quotes(folder / "scaffold");
  const auto ran = run_starling("report --json " + both + " --out " + in_quotes(folder / "both.html"), environment);
  REQUIRE_MESSAGE(ran.status == 0, ran.err);
  const auto json = nlohmann::json::parse(ran.out);
  const auto summary = nlohmann::json::parse(read_text(folder / "scaffold/summary.json"));
  CHECK(json.at("runs").at(1).at("final_accuracy") == summary.at("test_accuracy"));
  CHECK(json.at("runs").at(1).at("uplink_bytes") == summary.at("uplink_bytes"));
  CHECK(json.at("differences").size() == 1);
  const std::string page = read_text(folder / "both.html");
  CHECK(tests::markup_fault(page) == "");
  CHECK(contains(page, "mnist, 4 clients by dirichlet (alpha = 0.5, min_size = 1)"));
  CHECK(contains(page, "client 0: "));
}

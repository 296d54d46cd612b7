// `starling report`: runs as a page to look at and as figures to compare.
#include "tools/report/report.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tools/command.h"
#include "tools/report/line_chart.h"

namespace starling::tools {
namespace {

struct ReportOptions {
  std::vector<std::string> runs;
  std::string out;
  std::vector<double> targets;
  bool json = false;
};

int run_report(const ReportOptions& options) {
  core::check(options.runs.size() <= kRunsMax, core::Kind::usage, "report: {} runs, at most {} fit one page", options.runs.size(), kRunsMax);
  const std::vector<std::filesystem::path> folders(options.runs.begin(), options.runs.end());
  const std::vector<RunFolder> runs = read_runs(folders);
  const std::vector<double> targets = options.targets.empty() ? usual_targets(runs) : options.targets;
  std::vector<Figures> figures;
  for (const RunFolder& one : runs) figures.push_back(figures_of(one, targets));
  const std::filesystem::path file = options.out.empty() ? folders.front() / "report.html" : std::filesystem::path(options.out);
  write_page(file, make_report(runs, figures));
  if (options.json) {
    nlohmann::ordered_json json = comparison_json(runs, figures);
    json["report"] = file.string();
    print(json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  } else {
    print(file.string() + "\n");
  }
  return 0;
}

}  // namespace

std::function<int()> report(CLI::App& app) {
  auto o = std::make_shared<ReportOptions>();
  app.add_option("RUN", o->runs, "run folders that train --out wrote")->required();
  app.add_option("--out", o->out, "the page to write (default: report.html in the first run's folder)");
  app.add_option("--target", o->targets, "test accuracy, 0 to 1, whose price is compared; may be given again (default: the highest round ones reached)")
      ->allow_extra_args(false)
      ->check(CLI::Range(0.0, 1.0));
  add_json_flag(app, o->json);
  return [o] { return run_report(*o); };
}

}  // namespace starling::tools

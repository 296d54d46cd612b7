#include "tools/report/report.h"

#include <utility>

#include "core/error.h"
#include "core/file.h"
#include "tools/report/line_chart.h"
#include "tools/report/page.h"

namespace starling::tools {
namespace {

/// What decides how the data is dealt.
std::string data_settings(const RunFolder& run) {
  std::string text = run.setting("seed");
  for (const Setting& setting : run.settings)
    if (setting.key.starts_with("data.")) text += fmt::format("\n{} = {}", setting.key, setting.value);
  return text;
}

SharedDistribution deal(const RunFolder& run, std::optional<Distribution> known) {
  SharedDistribution shared;
  shared.dealt = run.setting("data.name");
  try {
    const Experiment experiment = parse_experiment(run.toml, (run.folder / "settings.toml").string());
    shared.dealt += ", " + how_dealt(experiment);
    shared.found = known ? std::move(known) : distribution_of(experiment);
  } catch (const core::Error& error) {
    shared.why = error.what();
  }
  return shared;
}

std::string page_of(std::span<const RunFolder> runs, std::span<const Figures> figures, std::optional<Distribution> known) {
  core::check(!runs.empty() && runs.size() <= kRunsMax, core::Kind::usage, "report: {} runs, expected 1 to {} on a page", runs.size(), kRunsMax);
  std::vector<SharedDistribution> distributions;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    std::size_t at = 0;
    while (at < distributions.size() && data_settings(runs[distributions[at].runs.front()]) != data_settings(runs[i])) ++at;
    if (at == distributions.size()) distributions.push_back(deal(runs[i], std::exchange(known, std::nullopt)));
    distributions[at].runs.push_back(i);
  }
  return build_page({runs, figures, distributions});
}

}  // namespace

std::string make_report(std::span<const RunFolder> runs, std::span<const Figures> figures) { return page_of(runs, figures, std::nullopt); }

std::filesystem::path write_report(const std::filesystem::path& folder, std::optional<Distribution> known) {
  const std::vector<RunFolder> runs{read_run(folder)};
  const std::vector<Figures> figures{figures_of(runs.front(), usual_targets(runs))};
  const std::filesystem::path file = folder / "report.html";
  write_page(file, page_of(runs, figures, std::move(known)));
  return file;
}

void write_page(const std::filesystem::path& file, const std::string& html) {
  core::write_file(file, [&](const core::Sink& sink) { sink(std::as_bytes(std::span(html))); });
}

}  // namespace starling::tools

// The clients of a page: who took part, and which labels they hold.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "tools/report/page.h"
#include "tools/report/pictures.h"
#include "tools/report/text.h"

namespace starling::tools {
namespace {

/// "18 dropped as late or failed; 3 replies refused (norm: 2, examples: 1); the model stayed as it was in 1 rounds (too few replies: 1)."
std::string account(const RunFolder& run) {
  std::int64_t dropped = 0, kept = 0, refusals = 0;
  std::map<std::string, std::int64_t> refused, reasons;
  for (const RoundLine& line : run.lines) {
    dropped += line.dropped;
    refusals += line.refusals();
    for (const auto& [reason, count] : line.refused) refused[reason] += count;
    if (!line.kept.empty()) {
      ++kept;
      ++reasons[line.kept];
    }
  }
  const auto list = [](const std::map<std::string, std::int64_t>& of) {
    std::string text;
    for (const auto& [name, count] : of) text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", name, grouped(count));
    return text;
  };
  std::string text = dropped == 0 ? "No client was late or failed" : fmt::format("{} dropped as late or failed", grouped(dropped));
  if (refusals > 0) text += fmt::format("; {} replies refused ({})", grouped(refusals), list(refused));
  if (kept > 0) text += fmt::format("; the model stayed as it was in {} rounds ({})", grouped(kept), list(reasons));
  return text + ".";
}

std::string participation(std::span<const RunFolder> runs) {
  std::int64_t rounds_max = 1, clients_max = 1;
  bool any_kept = false;
  for (const RunFolder& run : runs)
    for (const RoundLine& line : run.lines) {
      any_kept = any_kept || !line.kept.empty();
      rounds_max = std::max(rounds_max, line.round);
      clients_max = std::max(clients_max, line.clients + line.dropped + line.refusals());
    }
  // The picture of a single run has the whole width.
  const double width = runs.size() == 1 ? 1160 : 570;
  std::string html =
      "<section>\n<h2>Clients in a round</h2>\n<p class=\"keys\"><span class=\"key used\"></span>used <span class=\"key dropped\"></span>late or failed "
      "<span class=\"key refused\"></span>refused";
  html += any_kept ? " <span class=\"triangle\">&#9650;</span>model stayed as it was</p>\n" : "</p>\n";
  html += runs.size() == 1 ? "<div>\n" : "<div class=\"two\">\n";
  for (std::size_t i = 0; i < runs.size(); ++i)
    html += fmt::format("<figure><figcaption>{}</figcaption>{}<p class=\"note\">{}</p></figure>\n", run_mark(runs[i], i),
                        participation_chart(runs[i], rounds_max, clients_max, width), escape(account(runs[i])));
  return html + "</div>\n</section>\n";
}

std::string fact(const char* name, const std::string& value) { return fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", name, escape(value)); }

std::string facts(const Distribution& d) {
  std::string html = "<dl class=\"facts\">";
  html += fact("clients", grouped(static_cast<std::int64_t>(d.sizes.size()))) + fact("examples", grouped(d.examples));
  html += fact("smallest", grouped(d.counts.smallest)) + fact("mean", fmt::format("{:.1f}", d.mean_size())) + fact("largest", grouped(d.counts.largest));
  if (d.counts.unused > 0) html += fact("unused", grouped(d.counts.unused));
  if (d.labels > 0) html += fact("labels", grouped(d.labels)) + fact("total variation", fmt::format("{:.3f}", d.counts.total_variation));
  return html + "</dl>\n";
}

std::string shades() {
  std::string html = "<p class=\"keys\"><span>share of a client's examples</span>";
  for (const double share : {0.01, 0.1, 0.25, 0.5, 1.0})
    html += fmt::format(" <span class=\"key cell\" style=\"opacity:{:.3f}\"></span>{:g} %", opacity(share), 100 * share);
  return html + "</p>\n";
}

}  // namespace

std::string clients_section(std::span<const RunFolder> runs, std::span<const SharedDistribution> distributions) {
  std::string html = participation(runs) + "<section>\n<h2>Data of the clients</h2>\n";
  for (const SharedDistribution& shared : distributions) {
    std::string of;
    for (const std::size_t run : shared.runs) of += (of.empty() ? "" : " ") + run_mark(runs[run], run);
    html += fmt::format("<h3>{}</h3>\n", escape(shared.dealt));
    if (distributions.size() > 1) html += fmt::format("<p class=\"of\">{}</p>\n", of);
    if (!shared.found) {
      html += fmt::format("<p class=\"remark\">The picture is missing, as the data could not be dealt again: {}</p>\n", escape(shared.why));
      continue;
    }
    html += facts(*shared.found);
    if (shared.found->labels > 0) html += shades();
    html += fmt::format("<figure class=\"wide\">{}</figure>\n", distribution_chart(*shared.found));
  }
  return html + "</section>\n";
}

}  // namespace starling::tools

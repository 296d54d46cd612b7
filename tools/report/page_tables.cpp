// The tables of a page: the runs side by side, and their settings.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "tools/report/page.h"
#include "tools/report/text.h"

namespace starling::tools {
namespace {

std::string cell(const std::string& text, bool best = false, bool first = false) {
  return fmt::format("<td class=\"{}{}\">{}</td>", best ? "best" : "", first ? " first" : "", escape(text));
}

std::string percent_or(const std::optional<double>& value) { return value ? percent(*value) : "-"; }

/// Whether `value` is the highest (or lowest) of several that are not all alike.
template <class Of>
bool stands_out(std::span<const Figures> figures, std::size_t at, bool highest, Of of) {
  if (figures.size() < 2 || !of(figures[at])) return false;
  bool differs = false;
  for (const Figures& other : figures) {
    const std::optional<double> value = of(other), own = of(figures[at]);
    if (value && (highest ? *value > *own : *value < *own)) return false;
    differs = differs || value != own;
  }
  return differs;
}

std::string figures_table(std::span<const RunFolder> runs, std::span<const Figures> figures) {
  const std::string clock = sentence(clock_name(runs));
  std::string html = "<div class=\"scroll\"><table>\n<thead><tr>";
  for (const char* name :
       {"Run", "Strategy", "Rounds", "Final accuracy", "Best accuracy", "Mean of last 10", "Final loss", clock.c_str(), "Sent up", "Sent down"})
    html += fmt::format("<th>{}</th>", name);
  html += "</tr></thead>\n<tbody>\n";
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const Figures& f = figures[i];
    html += fmt::format("<tr><th>{}</th>", run_mark(runs[i], i)) + cell(runs[i].setting("strategy.name")) + cell(grouped(f.rounds));
    html += cell(percent_or(f.final_accuracy), stands_out(figures, i, true, [](const Figures& g) { return g.final_accuracy; }));
    html += cell(f.best_accuracy ? fmt::format("{} (round {})", percent(*f.best_accuracy), f.best_round) : "-",
                 stands_out(figures, i, true, [](const Figures& g) { return g.best_accuracy; }));
    html += cell(percent_or(f.last_mean), stands_out(figures, i, true, [](const Figures& g) { return g.last_mean; }));
    html += cell(figure(f.final_loss), stands_out(figures, i, false, [](const Figures& g) { return g.final_loss; }));
    html += cell(duration(f.virtual_s)) + cell(traffic(f.uplink_bytes)) + cell(traffic(f.downlink_bytes)) + "</tr>\n";
  }
  return html + "</tbody>\n</table></div>\n";
}

/// What it took to reach an accuracy; "> 24" where a run ended before.
std::string targets_table(std::span<const RunFolder> runs, std::span<const Figures> figures) {
  if (figures.front().reached.empty()) return "";
  std::string first = "<tr><th rowspan=\"2\">Until test accuracy</th>", second = "<tr>";
  for (const Reached& target : figures.front().reached) {
    first += fmt::format("<th colspan=\"3\" class=\"group\">{}</th>", fmt::format("{:.4g} %", 100 * target.accuracy));
    second += fmt::format("<th class=\"first\">rounds</th><th>traffic</th><th>{}</th>", clock_name(runs));
  }
  std::string html = "<div class=\"scroll\"><table>\n<thead>" + first + "</tr>\n" + second + "</tr></thead>\n<tbody>\n";
  for (std::size_t i = 0; i < runs.size(); ++i) {
    html += fmt::format("<tr><th>{}</th>", run_mark(runs[i], i));
    for (std::size_t t = 0; t < figures[i].reached.size(); ++t) {
      const Reached& r = figures[i].reached[t];
      const auto lowest = [&](auto of) {
        return r.round && stands_out(figures, i, false, [&](const Figures& g) { return g.reached[t].round ? std::optional(of(g.reached[t])) : std::nullopt; });
      };
      const std::string more = r.round ? "" : "> ";
      html += cell(more + grouped(r.round.value_or(figures[i].rounds)), lowest([](const Reached& x) { return static_cast<double>(*x.round); }), true);
      html += cell(more + traffic(r.bytes), lowest([](const Reached& x) { return x.bytes; }));
      html += cell(more + duration(r.virtual_s), lowest([](const Reached& x) { return x.virtual_s; }));
    }
    html += "</tr>\n";
  }
  return html + "</tbody>\n</table></div>\n";
}

std::string settings_head(std::span<const RunFolder> runs) {
  std::string html = "<thead><tr><th>Setting</th>";
  for (std::size_t i = 0; i < runs.size(); ++i) html += fmt::format("<th>{}</th>", run_mark(runs[i], i));
  return html + "</tr></thead>\n";
}

std::string settings_row(const std::string& key, const std::vector<std::string>& values, bool differs) {
  std::string html = fmt::format("<tr{}><th><code>{}</code></th>", differs ? " class=\"differs\"" : "", escape(key));
  for (const std::string& value : values) html += value.empty() ? "<td class=\"none\">-</td>" : fmt::format("<td>{}</td>", escape(value));
  return html + "</tr>\n";
}

}  // namespace

std::string comparison_section(std::span<const RunFolder> runs, std::span<const Figures> figures) {
  const std::string targets = targets_table(runs, figures);
  std::string html = fmt::format("<section>\n<h2>{}</h2>\n{}{}", runs.size() > 1 ? "Comparison" : "Figures", figures_table(runs, figures), targets);
  const std::vector<Difference> changed = differences(runs);
  if (runs.size() < 2) return html + "</section>\n";
  html += "<h3>Settings that differ</h3>\n";
  if (changed.empty()) return html + "<p>None: the runs have the same settings.</p>\n</section>\n";
  html += "<div class=\"scroll\"><table class=\"settings\">\n" + settings_head(runs) + "<tbody>\n";
  for (const Difference& difference : changed) html += settings_row(difference.key, difference.values, false);
  return html + "</tbody>\n</table></div>\n</section>\n";
}

std::string settings_section(std::span<const RunFolder> runs) {
  const std::vector<Difference> changed = differences(runs);
  std::string html = "<section>\n<details>\n<summary>All settings</summary>\n";
  html += "<div class=\"scroll\"><table class=\"settings\">\n" + settings_head(runs) + "<tbody>\n";
  std::set<std::string> seen;
  for (const RunFolder& run : runs)
    for (const Setting& setting : run.settings) {
      if (!seen.insert(setting.key).second) continue;
      std::vector<std::string> values;
      for (const RunFolder& other : runs) values.push_back(other.setting(setting.key));
      html += settings_row(setting.key, values, std::any_of(changed.begin(), changed.end(), [&](const Difference& d) { return d.key == setting.key; }));
    }
  return html + "</tbody>\n</table></div>\n</details>\n</section>\n";
}

}  // namespace starling::tools

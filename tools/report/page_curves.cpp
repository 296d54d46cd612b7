// The curves of a page: accuracy and loss against rounds, traffic and virtual time, and the smaller ones of what the
// strategy counts.
#include <algorithm>
#include <functional>
#include <set>

#include <fmt/format.h>

#include "tools/report/axis.h"
#include "tools/report/line_chart.h"
#include "tools/report/page.h"
#include "tools/report/text.h"

namespace starling::tools {
namespace {

using Value = std::function<std::optional<double>(const RoundLine&)>;

/// What curves are drawn against.
struct Across {
  std::string tab, title, name, unit;
  bool whole = false;
  std::function<double(const RoundLine&)> value;
};

std::vector<Across> axes_of(std::span<const RunFolder> runs) {
  double bytes = 0, seconds = 0;
  for (const RunFolder& run : runs) {
    bytes = std::max(bytes, run.lines.back().traffic());
    seconds = std::max(seconds, run.lines.back().virtual_s);
  }
  const Unit b = byte_unit(bytes), s = time_unit(seconds);
  return {{"Rounds", "round", "round", "", true, [](const RoundLine& l) { return static_cast<double>(l.round); }},
          {"Traffic", fmt::format("traffic, up and down ({})", b.name), "", b.name, false, [b](const RoundLine& l) { return l.traffic() / b.size; }},
          {sentence(clock_name(runs)), fmt::format("{} ({})", clock_name(runs), s.name), "", s.name, false,
           [s](const RoundLine& l) { return l.virtual_s / s.size; }}};
}

std::vector<Curve> curves_of(std::span<const RunFolder> runs, const Across& across, const Value& value) {
  std::vector<Curve> curves;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    Curve curve{runs[i].label, i, {}};
    for (const RoundLine& line : runs[i].lines)
      if (const std::optional<double> y = value(line)) curve.points.emplace_back(across.value(line), *y);
    curves.push_back(std::move(curve));
  }
  return curves;
}

std::string chart_of(std::span<const RunFolder> runs, const Across& across, const std::string& title, const char* unit, int digits, const Value& value) {
  LineChart chart{title, across.title, across.name, across.unit, unit, across.whole, digits};
  chart.curves = curves_of(runs, across, value);
  return line_chart(chart);
}

std::string legend(std::span<const RunFolder> runs) {
  if (runs.size() < 2) return "";
  std::string html = "<div class=\"legend\">";
  for (std::size_t i = 0; i < runs.size(); ++i)
    html += fmt::format("<button type=\"button\" data-run=\"{}\" title=\"show or hide\">{}</button>", i, run_mark(runs[i], i));
  return html + "</div>\n";
}

bool any_value(std::span<const RunFolder> runs, const Value& value) {
  const auto has = [&](const RoundLine& line) { return value(line).has_value(); };
  return std::any_of(runs.begin(), runs.end(), [&](const RunFolder& run) { return std::any_of(run.lines.begin(), run.lines.end(), has); });
}

}  // namespace

std::string curves_section(std::span<const RunFolder> runs) {
  const std::vector<Across> axes = axes_of(runs);
  const auto accuracy = [](const RoundLine& l) { return l.accuracy ? std::optional(100 * *l.accuracy) : std::nullopt; };
  std::string html = "<section>\n<h2>Learning</h2>\n<div class=\"tabs\">\n";
  for (std::size_t i = 0; i < axes.size(); ++i)
    html += fmt::format("<input type=\"radio\" name=\"across\" id=\"across{}\"{}/><label for=\"across{}\">{}</label>\n", i,
                        i == 0 ? " checked=\"checked\"" : "", i, axes[i].tab);
  html += legend(runs);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    html += fmt::format("<div class=\"panel two panel{}\">\n", i);
    html += chart_of(runs, axes[i], "Test accuracy (%)", "%", 2, accuracy);
    html += chart_of(runs, axes[i], "Test loss", "", -1, [](const RoundLine& l) { return l.loss; });
    html += "</div>\n";
  }
  return html + "</div>\n</section>\n";
}

std::string own_numbers_section(std::span<const RunFolder> runs) {
  constexpr std::size_t kChartsMax = 24;
  const Across rounds = axes_of(runs).front();
  std::vector<std::pair<std::string, Value>> numbers{{"Training loss", [](const RoundLine& l) { return l.train_loss; }}};
  std::set<std::string> names;
  for (const RunFolder& run : runs)
    for (const RoundLine& line : run.lines)
      for (const auto& [name, value] : line.own) names.insert(name);
  for (const std::string& name : names)
    numbers.emplace_back(name, [name](const RoundLine& l) {
      const auto found = l.own.find(name);
      return found == l.own.end() ? std::nullopt : std::optional(found->second);
    });
  std::string charts;
  std::size_t count = 0;
  for (const auto& [name, value] : numbers) {
    if (count == kChartsMax || !any_value(runs, value)) continue;
    LineChart chart{name, rounds.title, rounds.name, rounds.unit, "", true};
    chart.width = 370;
    chart.height = 220;
    chart.curves = curves_of(runs, rounds, value);
    charts += line_chart(chart);
    ++count;
  }
  if (count == 0) return "";
  return fmt::format("<section>\n<h2>More numbers</h2>\n<div class=\"three\">\n{}</div>\n</section>\n", charts);
}

}  // namespace starling::tools

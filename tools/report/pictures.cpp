#include "tools/report/pictures.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "tools/report/axis.h"
#include "tools/report/svg.h"
#include "tools/report/text.h"

namespace starling::tools {
namespace {

constexpr std::size_t kBarsMax = 140, kColumnsMax = 60;
constexpr std::int64_t kLabelsMax = 64;

/// Lines across from left to right, their values on the left.
std::string rows(const Ticks& marks, const Scale& y, double left, double right) {
  std::string svg;
  for (const double v : marks.values)
    if (v == std::floor(v))
      svg += svg_line("grid", left, y(v), right, y(v)) + svg_text("tick", Anchor::end, left - 7, y(v) + 4, tick_label(v, std::max(marks.step, 1.0)));
  return svg;
}

/// Neighbouring rounds as one bar.
struct Bar {
  std::int64_t first = 0, last = 0;
  double used = 0, dropped = 0, refused = 0;
  bool kept = false;
};

std::vector<Bar> bars_of(const RunFolder& run) {
  const std::size_t each = (run.lines.size() + kBarsMax - 1) / kBarsMax;
  std::vector<Bar> bars;
  for (std::size_t begin = 0; begin < run.lines.size(); begin += each) {
    const std::size_t end = std::min(begin + each, run.lines.size());
    Bar bar{run.lines[begin].round, run.lines[end - 1].round};
    for (std::size_t i = begin; i < end; ++i) {
      const double share = 1 / static_cast<double>(end - begin);
      bar.used += static_cast<double>(run.lines[i].clients) * share;
      bar.dropped += static_cast<double>(run.lines[i].dropped) * share;
      bar.refused += static_cast<double>(run.lines[i].refusals()) * share;
      bar.kept = bar.kept || !run.lines[i].kept.empty();
    }
    bars.push_back(bar);
  }
  return bars;
}

/// The least distance of two bars, in rounds: what a bar may be wide.
double spacing(const std::vector<Bar>& bars) {
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 1; i < bars.size(); ++i) least = std::min(least, static_cast<double>(bars[i].first - bars[i - 1].first));
  return std::isfinite(least) ? least : 1;
}

std::string one_bar(const Bar& bar, const Scale& x, const Scale& y, double width) {
  const std::string rounds = bar.first == bar.last ? fmt::format("round {}", bar.first) : fmt::format("rounds {} to {}, mean", bar.first, bar.last);
  const double centre = x(static_cast<double>(bar.first + bar.last) / 2);
  std::string svg = fmt::format(R"(<g data-t="{}: {:g} used, {:g} dropped, {:g} refused{}">)", rounds, bar.used, bar.dropped, bar.refused,
                                bar.kept ? "; model kept" : "");
  double below = 0;
  for (const auto& [kind, amount] : {std::pair("used", bar.used), std::pair("dropped", bar.dropped), std::pair("refused", bar.refused)}) {
    if (amount <= 0) continue;
    svg += svg_rectangle(kind, {centre - width / 2, y(below + amount), width, y(below) - y(below + amount)});
    below += amount;
  }
  // A mark under the axis where the model stayed as it was.
  if (bar.kept) svg += fmt::format(R"(<path class="kept" d="M{:.1f},{:.1f} l-4,6 l8,0 z"/>)", centre, y(0) + 1);
  return svg + "</g>";
}

/// The counts of a client as shares of the cells it is drawn in.
std::string column(const Distribution& d, std::size_t client, double x, double top, double width, double height) {
  std::string svg;
  for (std::int64_t label = 0; label < d.labels; ++label) {
    const std::int64_t n = d.counts.histogram[client][static_cast<std::size_t>(label)];
    if (n == 0) continue;
    const double share = static_cast<double>(n) / static_cast<double>(d.sizes[client]);
    svg += svg_rectangle("cell", {x, top + static_cast<double>(label) * height, width, height - (height > 6 ? 1 : 0)},
                         fmt::format("client {}, label {}: {} examples, {}", client, label, grouped(n), percent(share, 1)), opacity(share));
  }
  return svg;
}

}  // namespace

double opacity(double share) { return share <= 0 ? 0 : 0.08 + 0.92 * std::sqrt(std::min(share, 1.0)); }

std::string participation_chart(const RunFolder& run, std::int64_t rounds_max, std::int64_t clients_max, double chart_width) {
  constexpr double kHeight = 170, kLeft = 48, kTop = 10, kBottom = 126, kWidest = 26;
  const double right = chart_width - 18;
  const std::vector<Bar> bars = bars_of(run);
  double high = static_cast<double>(std::max<std::int64_t>(clients_max, 1)), low = 0;
  const Ticks y_ticks = covering_ticks(low, high, 3);
  const double half = spacing(bars) / 2;
  const Scale x{1 - half, static_cast<double>(rounds_max) + half, kLeft, right}, y{0, high, kBottom, kTop};
  std::string svg = fmt::format(R"(<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="clients by round">)", chart_width, kHeight);
  svg += rows(y_ticks, y, kLeft, right);
  const double width = std::min(kWidest, 0.8 * (x(2 * half) - x(0)));
  for (const Bar& bar : bars) svg += one_bar(bar, x, y, width);
  svg += svg_line("axis", kLeft, kBottom, right, kBottom);
  const Ticks x_ticks = ticks(1, static_cast<double>(rounds_max), 8, true);
  for (const double v : x_ticks.values) svg += svg_text("tick", Anchor::middle, x(v), kBottom + 19, tick_label(v, x_ticks.step));
  return svg + svg_text("title", Anchor::middle, (kLeft + right) / 2, kHeight - 6, "round") + "</svg>";
}

std::string distribution_chart(const Distribution& d) {
  constexpr double kWidth = 1160, kLeft = 68, kRight = 1146, kTop = 24, kSizes = 90, kGap = 26, kCellsHeight = 220, kWidestColumn = 60;
  const bool cells = d.labels > 0 && d.labels <= kLabelsMax;
  const std::vector<std::size_t> shown = shown_clients(d, kColumnsMax);
  const double pitch = std::min(kWidestColumn, (kRight - kLeft) / static_cast<double>(shown.size())), width = pitch * 0.92;
  const double row = cells ? std::clamp(kCellsHeight / static_cast<double>(d.labels), 5.0, 20.0) : 0, top = kTop + kSizes + kGap;
  const double bottom = cells ? top + row * static_cast<double>(d.labels) : kTop + kSizes, right = kLeft + pitch * static_cast<double>(shown.size());
  double low = 0, high = static_cast<double>(std::max<std::int64_t>(d.counts.largest, 1));
  const Ticks sizes = covering_ticks(low, high, 3);
  const Scale y{0, high, kTop + kSizes, kTop};
  std::string svg = fmt::format(R"(<svg class="chart wide" viewBox="0 0 {} {:.0f}" role="img" aria-label="labels by clients">)", kWidth, bottom + 42);
  svg += rows(sizes, y, kLeft, right) + svg_text("title", Anchor::end, kLeft - 7, 11, "examples");
  if (cells) svg += svg_text("title", Anchor::end, kLeft - 7, top - 6, "label");
  for (std::int64_t label = 0; cells && label < d.labels; ++label)
    if (label % 10 == 0 || row >= 11)
      svg += svg_text("tick", Anchor::end, kLeft - 7, top + (static_cast<double>(label) + 0.5) * row + 4, fmt::format("{}", label));
  // Every n-th client has its number below.
  const auto every = static_cast<std::size_t>(std::ceil(34 / pitch));
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const double x = kLeft + pitch * static_cast<double>(i) + (pitch - width) / 2;
    const std::int64_t size = d.sizes[shown[i]];
    const double height = y(0) - y(static_cast<double>(size));
    svg += svg_rectangle("size", {x, kTop + kSizes - height, width, height}, fmt::format("client {}: {} examples", shown[i], grouped(size)));
    if (cells) svg += column(d, shown[i], x, top, width, row);
    if (i % every == 0) svg += svg_text("tick", Anchor::middle, x + width / 2, bottom + 17, fmt::format("{}", shown[i]));
  }
  const char* below = shown.size() < d.sizes.size() ? "client (a sample, from the smallest to the largest)" : "client";
  return svg + svg_text("title", Anchor::middle, (kLeft + right) / 2, bottom + 36, below) + "</svg>";
}

}  // namespace starling::tools

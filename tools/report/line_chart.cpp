#include "tools/report/line_chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "tools/report/axis.h"
#include "tools/report/svg.h"
#include "tools/report/text.h"

namespace starling::tools {
namespace {

using Points = std::vector<std::pair<double, double>>;

constexpr double kTop = 12, kRight = 18, kBottom = 46, kDigitWidth = 6.8, kApart = 10;
constexpr int kTicksMax = 6;
constexpr std::size_t kPointsMax = 600;

/// What is drawn: finite points, every n-th of very many, and always the last.
Points drawn(const Points& all) {
  Points finite, kept;
  for (const auto& [x, y] : all)
    if (std::isfinite(x) && std::isfinite(y)) finite.emplace_back(x, y);
  const std::size_t stride = std::max<std::size_t>(1, (finite.size() + kPointsMax - 1) / kPointsMax);
  for (std::size_t i = 0; i < finite.size(); ++i)
    if (i % stride == 0 || i + 1 == finite.size()) kept.push_back(finite[i]);
  return kept;
}

struct Frame {
  Scale x, y;
  Ticks x_ticks, y_ticks;
  double left = 0, right = 0, top = kTop, bottom = 0;
};

Frame frame_of(const LineChart& chart, const std::vector<Points>& curves) {
  constexpr double kMany = std::numeric_limits<double>::infinity(), kPowers = 100;
  double x_high = 0, low = kMany, high = -kMany;
  for (const Points& points : curves)
    for (const auto& [x, y] : points) {
      x_high = std::max(x_high, x);
      low = std::min(low, y);
      high = std::max(high, y);
    }
  if (low > high) low = 0, high = 1;
  if (x_high <= 0) x_high = 1;
  Frame f;
  f.y.logarithmic = low > 0 && high / low > kPowers;
  f.y_ticks = f.y.logarithmic ? logarithmic_ticks(low, high, kTicksMax) : covering_ticks(low, high, kTicksMax - 1);
  std::size_t widest = 0;
  for (const double v : f.y_ticks.values) widest = std::max(widest, tick_label(v, f.y_ticks.step).size());
  f.left = 14 + kDigitWidth * static_cast<double>(widest);
  f.right = chart.width - kRight;
  f.bottom = chart.height - kBottom;
  f.x = {0, x_high, f.left, f.right};
  f.y = {low, high, f.bottom, f.top, f.y.logarithmic};
  f.x_ticks = ticks(0, x_high, std::clamp(static_cast<int>((f.right - f.left) / 60), 2, 8), chart.whole_x);
  return f;
}

std::string axes(const LineChart& chart, const Frame& f) {
  std::string svg;
  for (const double v : f.y_ticks.values) {
    svg += svg_line("grid", f.left, f.y(v), f.right, f.y(v));
    svg += svg_text("tick", Anchor::end, f.left - 7, f.y(v) + 4, tick_label(v, f.y_ticks.step));
  }
  svg += svg_line("axis", f.left, f.bottom, f.right, f.bottom);
  for (const double v : f.x_ticks.values) {
    svg += svg_line("axis", f.x(v), f.bottom, f.x(v), f.bottom + 4);
    svg += svg_text("tick", Anchor::middle, f.x(v), f.bottom + 17, tick_label(v, f.x_ticks.step));
  }
  return svg + svg_text("title", Anchor::middle, (f.left + f.right) / 2, chart.height - 6, chart.x_title);
}

std::string one_curve(const LineChart& chart, const Curve& curve, const Points& points, const Frame& f) {
  std::string path, xs, ys, dots;
  for (const auto& [x, y] : points) {
    path += fmt::format("{}{:.1f},{:.1f}", path.empty() ? "M" : " L", f.x(x), f.y(y));
    xs += fmt::format("{}{:.6g}", xs.empty() ? "" : ",", x);
    ys += (ys.empty() ? "" : ",") + (chart.y_digits < 0 ? fmt::format("{:.6g}", y) : fmt::format("{:.{}f}", y, chart.y_digits));
  }
  // Single points show where they lie apart, else only where the curve ends.
  const bool apart = f.x(points.back().first) - f.x(points.front().first) >= kApart * static_cast<double>(points.size() - 1);
  for (std::size_t i = apart ? 0 : points.size() - 1; i < points.size(); ++i)
    dots += fmt::format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="{}"/>)", f.x(points[i].first), f.y(points[i].second), i + 1 == points.size() ? "3.5" : "2");
  return fmt::format(R"(<g class="{} r{}"><path class="curve" d="{}" data-label="{}" data-x="{}" data-y="{}"/>{}</g>)", colour_classes(curve.run), curve.run,
                     path, escape(curve.label), xs, ys, dots);
}

}  // namespace

std::string colour_classes(std::size_t run) { return fmt::format("run c{} d{}", run % kColours, run / kColours % (kRunsMax / kColours)); }

std::string line_chart(const LineChart& chart) {
  std::vector<Points> curves;
  for (const Curve& curve : chart.curves) curves.push_back(drawn(curve.points));
  const Frame f = frame_of(chart, curves);
  std::string svg = fmt::format(R"(<svg class="chart lines" viewBox="0 0 {} {}" role="img" aria-label="{}")", chart.width, chart.height,
                                escape(chart.title + ", " + chart.x_title));
  svg += fmt::format(R"( data-high="{:.9g}" data-left="{:.1f}" data-right="{:.1f}")", f.x.high, f.left, f.right);
  svg += fmt::format(R"( data-name="{}" data-xunit="{}" data-yunit="{}">)", escape(chart.x_name), escape(chart.x_unit), escape(chart.y_unit));
  svg += axes(chart, f);
  svg += svg_line("cross", 0, f.top, 0, f.bottom);
  for (std::size_t i = 0; i < curves.size(); ++i)
    if (!curves[i].empty()) svg += one_curve(chart, chart.curves[i], curves[i], f);
  return fmt::format("<figure><figcaption>{}{}</figcaption>{}</svg></figure>\n", escape(chart.title), f.y.logarithmic ? ", logarithmic" : "", svg);
}

}  // namespace starling::tools

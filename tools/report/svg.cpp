#include "tools/report/svg.h"

#include <array>

#include <fmt/format.h>

#include "tools/report/text.h"

namespace starling::tools {

std::string svg_line(std::string_view classes, double x1, double y1, double x2, double y2) {
  return fmt::format(R"(<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>)", classes, x1, y1, x2, y2);
}

std::string svg_text(std::string_view classes, Anchor anchor, double x, double y, std::string_view text) {
  constexpr std::array kAnchors{"start", "middle", "end"};
  const char* at = kAnchors[static_cast<std::size_t>(anchor)];
  return fmt::format(R"(<text class="{}" text-anchor="{}" x="{:.1f}" y="{:.1f}">{}</text>)", classes, at, x, y, escape(text));
}

std::string svg_rectangle(std::string_view classes, const Box& box, std::string_view tip, double opacity) {
  std::string svg = fmt::format(R"(<rect class="{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}")", classes, box.x, box.y, box.width, box.height);
  if (opacity < 1) svg += fmt::format(R"( fill-opacity="{:.3f}")", opacity);
  if (!tip.empty()) svg += fmt::format(R"( data-t="{}")", escape(tip));
  return svg + "/>";
}

}  // namespace starling::tools

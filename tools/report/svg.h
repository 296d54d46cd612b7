// The shapes that the pictures are made of. Places are in the units of the picture's viewBox; looks are the page's classes.
#pragma once

#include <string>
#include <string_view>

namespace starling::tools {

enum class Anchor { start, middle, end };

struct Box {
  double x = 0, y = 0, width = 0, height = 0;
};

std::string svg_line(std::string_view classes, double x1, double y1, double x2, double y2);
/// `text` is escaped here.
std::string svg_text(std::string_view classes, Anchor anchor, double x, double y, std::string_view text);
/// `tip` is what the page shows under the pointer; empty: nothing.
std::string svg_rectangle(std::string_view classes, const Box& box, std::string_view tip = "", double opacity = 1);

}  // namespace starling::tools

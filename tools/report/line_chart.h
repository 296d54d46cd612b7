// Curves over one axis as inline SVG. Colours, dashes and fonts are the page's classes; every curve carries its points
// as attributes (data-x, data-y), which the page's script shows under the pointer.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace starling::tools {

struct Curve {
  std::string label;
  std::size_t run = 0;                             // chooses colour and dash, see kRunsMax
  std::vector<std::pair<double, double>> points;   // x rising, in the units of the axes; what is not finite is left out
};

struct LineChart {
  std::string title, x_title;
  std::string x_name, x_unit, y_unit;  // under the pointer: "round 3", "12.5 MB", "76.78 %"
  bool whole_x = false;                // marks at whole numbers only
  int y_digits = -1;                   // of values under the pointer; -1: six that count
  double width = 570, height = 300;
  std::vector<Curve> curves = {};
};

/// Runs on one page: seven colours, each with three kinds of dash.
inline constexpr std::size_t kColours = 7, kRunsMax = 3 * kColours;

/// "run c1 d1": the classes that give run 8 its colour and dash.
std::string colour_classes(std::size_t run);

/// From 0 to the last x; y from mark to mark around the values, logarithmic where they span more than two powers of ten.
std::string line_chart(const LineChart& chart);

}  // namespace starling::tools

// The parts of a report that are exact: marks of axes, figures as texts, escaping, curves, how clients are shown.
#include <cmath>
#include <set>

#include <doctest/doctest.h>

#include "tests/tools/program.h"
#include "tests/tools/run_files.h"
#include "tools/report/axis.h"
#include "tools/report/distribution.h"
#include "tools/report/line_chart.h"
#include "tools/report/pictures.h"
#include "tools/report/text.h"

using namespace starling;
using namespace starling::tools;
using tests::contains;

TEST_CASE("an axis is marked at round numbers within it") {
  struct Case {
    double low, high;
    int count;
    bool whole;
    std::vector<double> marks;
  };
  const Case cases[] = {{0, 10, 5, false, {0, 2, 4, 6, 8, 10}}, {0, 24, 8, true, {0, 5, 10, 15, 20}},     {0, 3, 8, true, {0, 1, 2, 3}},
                        {47, 79, 4, false, {50, 60, 70}},       {-1, 1, 4, false, {-1, -0.5, 0, 0.5, 1}}, {0.1, 0.3, 4, false, {0.1, 0.15, 0.2, 0.25, 0.3}},
                        {5, 5, 5, false, {5, 5.2, 5.4, 5.6, 5.8, 6}}};
  for (const Case& c : cases) {
    CAPTURE(c.low);
    const Ticks marks = ticks(c.low, c.high, c.count, c.whole);
    REQUIRE(marks.values.size() == c.marks.size());
    for (std::size_t i = 0; i < c.marks.size(); ++i) CHECK(marks.values[i] == doctest::Approx(c.marks[i]));
    CHECK(static_cast<int>(marks.values.size()) <= c.count + 1);
  }
}

TEST_CASE("for any stretch there are marks, few enough, and labels that differ") {
  for (double low : {0.0, 1e-9, 0.123, 7.0, 1e5, -3e8})
    for (double length = 1e-7; length < 1e12; length *= 3.7) {
      double from = low, to = low + length;
      const Ticks marks = covering_ticks(from, to, 5);
      CAPTURE(low);
      CAPTURE(length);
      REQUIRE(marks.values.size() >= 2);
      CHECK(marks.values.size() <= 9);
      std::set<std::string> labels;
      for (const double v : marks.values) labels.insert(tick_label(v, marks.step));
      CHECK(labels.size() == marks.values.size());
      CHECK(marks.values.front() == doctest::Approx(from));
      CHECK(marks.values.back() == doctest::Approx(to));
      CHECK(from <= low + 1e-6 * length);
      CHECK(to >= low + length - 1e-6 * length);
    }
  CHECK(tick_label(0.15, 0.05) == "0.15");
  CHECK(tick_label(2, 0.5) == "2.0");
  CHECK(tick_label(1500, 500) == "1,500");
  CHECK(tick_label(-1e-17, 0.1) == "0.0");
  CHECK(tick_label(1.5e12, 5e11) == "1.5e+12");
  CHECK(tick_label(2e-7, 1e-7) == "2e-07");
}

TEST_CASE("a logarithmic axis has powers of ten, with 2 and 5 where they fit") {
  CHECK(logarithmic_ticks(1, 100, 6).values == std::vector<double>{1, 2, 5, 10, 20, 50, 100});
  const auto wide = logarithmic_ticks(1e-3, 1e30, 6).values;
  CHECK(wide.size() >= 2);
  CHECK(wide.size() <= 7);
  const Scale scale{1, 100, 200, 0, true};
  CHECK(scale(1) == 200);
  CHECK(scale(10) == 100);
  CHECK(scale(100) == 0);
}

TEST_CASE("units are the largest that fit") {
  CHECK(std::string(byte_unit(17770400).name) == "MB");
  CHECK(std::string(byte_unit(999).name) == "B");
  CHECK(std::string(time_unit(100).name) == "s");
  CHECK(std::string(time_unit(32151).name) == "h");
  CHECK(std::string(time_unit(1e6).name) == "d");
}

TEST_CASE("figures read as people write them") {
  CHECK(grouped(44426) == "44,426");
  CHECK(grouped(-1234567) == "-1,234,567");
  CHECK(grouped(999) == "999");
  CHECK(percent(0.7678) == "76.78 %");
  CHECK(traffic(17770400) == "17.8 MB");
  CHECK(traffic(177704000) == "178 MB");
  CHECK(traffic(12) == "12 B");
  CHECK(duration(12.34) == "12.3 s");
  CHECK(duration(59.99) == "1 min");
  CHECK(duration(485) == "8 min 5 s");
  CHECK(duration(32151.8) == "8 h 56 min");
  CHECK(duration(3599.8) == "1 h");
  CHECK(duration(183600) == "2 d 3 h");
  CHECK(figure(0.58947) == "0.5895");
  CHECK(figure(12.345) == "12.35");
  CHECK(figure(std::nullopt) == "-");
}

TEST_CASE("any text may stand in a page") {
  CHECK(escape("<script>alert('x' & \"y\")</script>") == "&lt;script&gt;alert(&#39;x&#39; &amp; &quot;y&quot;)&lt;/script&gt;");
  CHECK(escape(std::string("a\0b\x1b", 4)) == "a b ");
  CHECK(escape("\xFFok") == "\xEF\xBF\xBDok");
}

TEST_CASE("a curve has its points at their places and as numbers") {
  LineChart chart{"Accuracy", "round", "round", "", "%", true, 2};
  chart.curves = {{"a <b>", 0, {{1, 20}, {2, NAN}, {3, 60}, {4, 80}}}};
  const std::string svg = line_chart(chart);
  CHECK(tests::markup_fault(svg) == "");
  CHECK(contains(svg, "data-x=\"1,3,4\" data-y=\"20.00,60.00,80.00\""));
  CHECK(contains(svg, "data-label=\"a &lt;b&gt;\""));
  CHECK(contains(svg, "class=\"run c0 d0 r0\""));
  // Marks 20 to 80, two digits wide: left = 14 + 2 * 6.8, right = 570 - 18; top = 12, bottom = 300 - 46.
  CHECK(contains(svg, "d=\"M158.7,254.0 L420.9,92.7 L552.0,12.0\""));
}

TEST_CASE("curves of any shape give a picture without infinities") {
  const std::vector<std::vector<std::pair<double, double>>> shapes{{}, {{1, 5}}, {{1, 0}, {2, 0}}, {{1, 1e-9}, {2, 1e9}},
                                                                       {{0, -1e300}, {1, 1e300}}, {{1, 1}, {1e18, 1}}};
  for (const auto& points : shapes) {
    LineChart chart{"t", "x", "", "", ""};
    chart.curves = {{"c", 20, points}};
    const std::string svg = line_chart(chart);
    CAPTURE(svg);
    CHECK(tests::markup_fault(svg) == "");
    CHECK_FALSE(contains(svg, "nan"));
    CHECK_FALSE(contains(svg, "inf"));
  }
}

TEST_CASE("very long curves are thinned, keeping first and last") {
  LineChart chart{"t", "x", "", "", ""};
  Curve curve{"c", 0, {}};
  for (int i = 1; i <= 100000; ++i) curve.points.emplace_back(i, i);
  chart.curves = {curve};
  const std::string svg = line_chart(chart);
  CHECK(svg.size() < 60000);
  CHECK(contains(svg, "data-x=\"1,"));
  CHECK(contains(svg, ",100000\""));
}

TEST_CASE("of many clients a sample is shown that has the smallest and the largest") {
  core::Examples train;
  train.count = 5050;
  train.labels.assign(5050, 0);
  core::Partition parts(100);
  std::uint32_t next = 0;
  for (std::size_t client = 0; client < parts.size(); ++client)
    for (std::size_t i = 0; i <= 99 - client; ++i) parts[client].push_back(next++);
  const Distribution d = distribution_of(parts, train);
  const auto few = shown_clients(d, 5);
  CHECK(few == std::vector<std::size_t>{99, 75, 50, 25, 0});
  CHECK(shown_clients(d, 100).front() == 0);
  CHECK(contains(distribution_table(d), "20 of 100 clients"));
  CHECK(contains(distribution_table(d), "smallest 1, largest 100, mean 50.5 examples; 0 unused"));
  const std::string picture = distribution_chart(d);
  CHECK(tests::markup_fault(picture) == "");
  CHECK(contains(picture, "client 99, label 0: 1 examples, 100.0 %"));
}

TEST_CASE("a small distribution is a table of all counts") {
  core::Examples train;
  train.count = 6;
  train.labels = {0, 0, 1, 1, 2, 2};
  const Distribution d = distribution_of({{0, 1, 2, 4}, {3}}, train);
  CHECK(d.labels == 3);
  CHECK(distribution_table(d) ==
        "  client   examples      0      1      2  shares of the labels\n"
        "       0          4      2      1      1  |+--|\n"
        "       1          1      0      1      0  | @ |\n"
        "smallest 1, largest 4, mean 2.5 examples; 1 unused; total variation of the labels 0.417\n");
  train.labels_each = 2;
  train.labels.resize(12);
  CHECK(distribution_of({{0, 1, 2, 4}, {3}}, train).labels == 0);
}

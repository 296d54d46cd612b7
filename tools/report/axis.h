// Axes of a chart: from values to places, round numbers to mark, and the units they are marked in.
#pragma once

#include <string>
#include <vector>

namespace starling::tools {

/// Values low..high on the places from..to (which may fall, as y does). `logarithmic` needs low > 0.
struct Scale {
  double low = 0, high = 1, from = 0, to = 1;
  bool logarithmic = false;

  double operator()(double value) const;
};

/// Marks at round numbers: multiples of `step`, which is 1, 2 or 5 times a power of ten; of a logarithmic axis powers of
/// ten, with 2 and 5 between them where there is room, and step 0.
struct Ticks {
  std::vector<double> values;
  double step = 0;
};
/// At most `count_max` + 1 of them within low..high, whole numbers if `whole`. A stretch without length, or too short to
/// tell its ends apart, is taken for one of length 1.
Ticks ticks(double low, double high, int count_max, bool whole = false);
Ticks logarithmic_ticks(double low, double high, int count_max);
/// The same with low and high moved out to a mark: two marks more at most.
Ticks covering_ticks(double& low, double& high, int count_max);

/// As many digits as the step needs: "0.25", "1,500", "2e-07".
std::string tick_label(double value, double step);

struct Unit {
  double size = 1;
  const char* name = "";
};
/// B, kB, MB, ... (powers of 1000) and s, min, h, d: the largest that `high` reaches comfortably.
Unit byte_unit(double high);
Unit time_unit(double high);

}  // namespace starling::tools

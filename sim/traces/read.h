// Recordings of links, processors and phones as others publish them, read within bounds. Every reader is a pure function
// of the text; Kind::malformed names source, line and what was expected.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/traces/capacity.h"

namespace starling::sim {

/// A link trace of mahimahi (Netravali et al. 2015; recorded by Winstein et al. 2013): one whole number of milliseconds a
/// line, not falling; each is an opportunity for one packet of 1,500 bytes. In bytes.
Capacity parse_mahimahi(std::string_view text, const std::string& source);

/// A throughput log (Riiser et al. 2013 as Pensieve has it): "seconds megabits-per-second" a line, times rising; a rate is
/// that of the interval which its line ends, so the first line only says where the log begins. In bytes, times `share`.
Capacity parse_throughput(std::string_view text, const std::string& source, double share = 1);

/// Processor load of a PlanetLab machine (CoMon, as Beloglazov and Buyya 2012 use it): one whole number of per cent a
/// line, each for five minutes. In seconds of work of a processor without other load; a busy one still gives 1 %.
Capacity parse_planetlab(std::string_view text, const std::string& source);

struct Phone {
  std::string model;
  double score = 0;  // of AI-Benchmark (Ignatov et al. 2019): twice the score, half the time
};
/// One JSON object {"model": score, ...}. Sorted by model.
std::vector<Phone> parse_phones(std::string_view text, const std::string& source);

}  // namespace starling::sim

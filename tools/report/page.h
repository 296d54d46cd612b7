// The page that `report` writes: one HTML file with its style, its pictures and its script inside, that needs no network
// and follows the reader's choice of light or dark. The same runs give the same bytes.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tools/report/comparison.h"
#include "tools/report/distribution.h"
#include "tools/report/run_folder.h"

namespace starling::tools {

/// What runs with the same data settings share.
struct SharedDistribution {
  std::vector<std::size_t> runs;
  std::string dealt;                   // how, in words
  std::optional<Distribution> found;
  std::string why;                     // where there is none
};

struct PageInput {
  std::span<const RunFolder> runs;     // 1 to kRunsMax
  std::span<const Figures> figures;    // one a run
  std::span<const SharedDistribution> distributions;
};

std::string build_page(const PageInput& input);

/// The parts of the page that have files of their own.
extern const char* const kPageStyle;
extern const char* const kPageScript;
std::string curves_section(std::span<const RunFolder> runs);
std::string own_numbers_section(std::span<const RunFolder> runs);
std::string comparison_section(std::span<const RunFolder> runs, std::span<const Figures> figures);
std::string settings_section(std::span<const RunFolder> runs);
std::string clients_section(std::span<const RunFolder> runs, std::span<const SharedDistribution> distributions);
/// "virtual time", or "time" where all runs were timed by a real clock.
std::string clock_name(std::span<const RunFolder> runs);
/// With a capital first letter.
std::string sentence(std::string text);
/// The name of a run with its colour.
std::string run_mark(const RunFolder& run, std::size_t number);

}  // namespace starling::tools

// From run folders to the page about them.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "tools/report/comparison.h"
#include "tools/report/distribution.h"
#include "tools/report/run_folder.h"

namespace starling::tools {

/// The page about `runs`, whose data is dealt again; where that cannot be, the page says why. Kind::usage for none or more
/// runs than have colours.
std::string make_report(std::span<const RunFolder> runs, std::span<const Figures> figures);

/// Writes `folder`/report.html and returns that path. `known` saves loading the data of a run that has just ended.
std::filesystem::path write_report(const std::filesystem::path& folder, std::optional<Distribution> known = std::nullopt);

void write_page(const std::filesystem::path& file, const std::string& html);

}  // namespace starling::tools

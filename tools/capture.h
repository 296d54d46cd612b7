// A program run to its end for what it prints.
#pragma once

#include <string>
#include <vector>

namespace starling::tools {

/// The standard output of `arguments` (the first is looked up in PATH); standard error passes through. Kind::missing
/// when it cannot be started, Kind::refused with its status when it fails before printing anything.
std::string run_and_capture(const std::vector<std::string>& arguments);

}  // namespace starling::tools

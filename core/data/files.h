// Where the files of a data set are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/data/dataset.h"

namespace starling::core {

/// No file of a data set unpacks to more.
inline constexpr std::uint64_t kDataFileBytesMax = std::uint64_t{1} << 30;

/// FOLDER/NAME below the folder of data sets, as it is or packed with .gz or .xz. Kind::missing says what was looked for
/// and that the set comes from `origin`.
std::filesystem::path find_data_file(const DatasetOptions& options, const std::string& folder, const std::string& name, const char* origin);

}  // namespace starling::core

#include "core/data/files.h"

#include <cstdlib>

#include "core/error.h"

namespace starling::core {

std::filesystem::path data_folder() {
  if (const char* set = std::getenv("STARLING_DATA"); set && *set) return set;
  if (const char* home = std::getenv("XDG_DATA_HOME"); home && *home) return std::filesystem::path(home) / "starling";
  if (const char* home = std::getenv("HOME"); home && *home) return std::filesystem::path(home) / ".local/share/starling";
  fail(Kind::missing, "no folder of data sets: set STARLING_DATA");
}

std::filesystem::path find_data_file(const DatasetOptions& options, const std::string& folder, const std::string& name, const char* origin) {
  const std::filesystem::path beside = (options.folder.empty() ? data_folder() : options.folder) / folder;
  for (const char* packed : {"", ".gz", ".xz"})
    if (std::filesystem::path file = beside / (name + packed); std::filesystem::is_regular_file(file)) return file;
  fail(Kind::missing, "{}: no {} (also not as .gz or .xz); {} comes from {}; STARLING_DATA names the folder that holds the sets", beside.string(), name,
       options.name, origin);
}

}  // namespace starling::core

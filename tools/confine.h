// What the operating system lets a node read: its own data and what programs need, so that a fault in this program,
// or a file that it was sent, cannot show somebody else's files.
#pragma once

#include <filesystem>
#include <vector>

namespace starling::tools {

/// From now on this thread, and every thread and process that it starts, opens files for reading and lists folders
/// only under `folders` (those that are there) and the system's own: /usr, /lib*, /bin, /etc, /run, /proc, /sys, /dev.
/// Files that are open stay open. There is no way back. By Landlock (Linux 5.13); false where the kernel has none.
bool confine_reading(const std::vector<std::filesystem::path>& folders);

}  // namespace starling::tools

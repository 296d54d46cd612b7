#include "tools/serve/resident.h"

#include <fstream>
#include <string>

#include <unistd.h>

namespace starling::tools {

std::uint64_t resident_bytes(int pid) {
  std::ifstream statm("/proc/" + (pid == 0 ? std::string("self") : std::to_string(pid)) + "/statm");
  std::uint64_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace starling::tools

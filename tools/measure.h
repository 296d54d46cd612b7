// What the machine under us offers, described and measured in about a second.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace starling::tools {

struct Machine {
  std::string processor;
  int cores = 1;               // this process may run on, by its affinity mask
  double cpu_quota_cores = 1;  // at most `cores`; less where a control group limits the CPU time
  std::string simd;            // best instruction set that the kernels use here, as Highway names it
  std::uint64_t memory_bytes = 0, memory_available_bytes = 0;  // a control group's limit included
  std::string mpirun, ssh;     // full paths, empty: not found
  std::vector<std::string> missing;  // one sentence each: what does not work here, and why
};

Machine describe_machine();
/// The first executable file `name` in PATH; empty when there is none.
std::string find_program(const std::string& name);

struct DiskSpeed {
  double write_bytes_per_s = 0;  // fsync included
  double read_bytes_per_s = 0;   // the file's pages dropped before
  std::uint64_t free_bytes = 0;
};
/// Kind::refused when `directory` cannot be written.
DiskSpeed measure_disk(const std::filesystem::path& directory, std::uint64_t bytes);

struct LoopbackSpeed {
  double bytes_per_s = 0;
  double round_trip_us = 0;  // one byte there and back, median
};
LoopbackSpeed measure_loopback();

}  // namespace starling::tools

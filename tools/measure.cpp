// Description and short measurements of this machine.
#include "tools/measure.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <hwy/targets.h>
#include <sched.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/error.h"
#include "tools/descriptor.h"
#include "tools/sockets.h"

namespace starling::tools {
namespace {

using core::Kind;
using Clock = std::chrono::steady_clock;

std::string first_line_of(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The value of a "key : value" line; empty when absent.
std::string field(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(':');
    if (colon == std::string::npos || line.compare(0, key.size(), key) != 0) continue;
    const auto start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

std::uint64_t meminfo_bytes(const std::string& key) {
  return std::strtoull(field("/proc/meminfo", key).c_str(), nullptr, 10) * 1024;
}

/// CPU seconds per second that the control group (version 2, else 1) grants; nullopt: no limit.
std::optional<double> quota_cores() {
  std::string quota, period;
  std::istringstream v2(first_line_of("/sys/fs/cgroup/cpu.max"));
  if (v2 >> quota >> period) {
    if (quota == "max") return std::nullopt;
  } else {
    quota = first_line_of("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    period = first_line_of("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  }
  const double q = std::strtod(quota.c_str(), nullptr), p = std::strtod(period.c_str(), nullptr);
  return q > 0 && p > 0 ? std::optional(q / p) : std::nullopt;
}

std::uint64_t memory_limit_bytes() {
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    const std::uint64_t bytes = std::strtoull(first_line_of(path).c_str(), nullptr, 10);
    if (bytes > 0) return bytes;
  }
  return UINT64_MAX;
}

int usable_cores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return std::max(1u, std::thread::hardware_concurrency());
  return std::max(1, CPU_COUNT(&set));
}

std::string best_simd() {
  const auto targets = hwy::SupportedTargets() & HWY_TARGETS;  // offered here, and compiled into the kernels
  return hwy::TargetName(targets & -targets);                  // the lowest bit is the best target
}

void list_missing(Machine& machine) {
  if (machine.mpirun.empty())
    machine.missing.push_back("mpirun: --transport mpi does not work (Debian package openmpi-bin)");
#ifndef STARLING_MPI
  machine.missing.push_back("this build has no MPI transport (built with STARLING_MPI=OFF)");
#endif
  if (machine.ssh.empty()) machine.missing.push_back("ssh: up and down do not work (Debian package openssh-client)");
  if (machine.simd == "SCALAR" || machine.simd == "EMU128")
    machine.missing.push_back("SIMD: kernels run element by element on this processor");
}

}  // namespace

std::string find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream directories(path ? path : "/usr/local/bin:/usr/bin:/bin");
  for (std::string directory; std::getline(directories, directory, ':');) {
    const std::string candidate = (directory.empty() ? "." : directory) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0 && !std::filesystem::is_directory(candidate)) return candidate;
  }
  return "";
}

Machine describe_machine() {
  Machine machine;
  machine.processor = field("/proc/cpuinfo", "model name");
  if (machine.processor.empty()) machine.processor = "unknown";
  machine.cores = usable_cores();
  machine.cpu_quota_cores = std::min<double>(machine.cores, quota_cores().value_or(machine.cores));
  machine.simd = best_simd();
  const std::uint64_t limit = memory_limit_bytes();
  machine.memory_bytes = std::min(limit, meminfo_bytes("MemTotal"));
  machine.memory_available_bytes = std::min(limit, meminfo_bytes("MemAvailable"));
  machine.mpirun = find_program("mpirun");
  machine.ssh = find_program("ssh");
  list_missing(machine);
  return machine;
}

DiskSpeed measure_disk(const std::filesystem::path& directory, std::uint64_t bytes) {
  std::string path = (directory / ".starling-doctor-XXXXXX").string();
  const Descriptor file(::mkstemp(path.data()));
  core::check(file.valid(), Kind::refused, "{}: cannot write here: {}", directory.string(), core::last_error);
  ::unlink(path.c_str());
  std::vector<char> block(1 << 20);
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>(i * 2654435761u >> 13);
  DiskSpeed speed;
  auto start = Clock::now();
  for (std::uint64_t done = 0; done < bytes; done += block.size())
    core::check(::write(file.get(), block.data(), block.size()) == static_cast<ssize_t>(block.size()), Kind::refused,
                "{}: writing {} bytes: {}", directory.string(), bytes, core::last_error);
  ::fsync(file.get());
  speed.write_bytes_per_s = static_cast<double>(bytes) / core::seconds_since(start);
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
  ::lseek(file.get(), 0, SEEK_SET);
  start = Clock::now();
  while (::read(file.get(), block.data(), block.size()) > 0) {
  }
  speed.read_bytes_per_s = static_cast<double>(bytes) / core::seconds_since(start);
  struct statvfs space {};
  if (::fstatvfs(file.get(), &space) == 0) speed.free_bytes = std::uint64_t{space.f_bavail} * space.f_frsize;
  return speed;
}

LoopbackSpeed measure_loopback() {
  constexpr int kRoundTrips = 500;
  constexpr std::size_t kPushBytes = 64u << 20;
  const Deadline deadline = Clock::now() + std::chrono::seconds(10);
  auto [near, far] = loopback_pair(deadline);
  std::thread echo([&far = far, deadline] {
    std::vector<std::byte> buffer(1 << 18);
    try {
      for (int i = 0; i < kRoundTrips; ++i) {
        read_exactly(far, std::span(buffer).first(1), deadline);
        write_all(far, std::span(buffer).first(1), deadline);
      }
      for (std::size_t left = kPushBytes; left > 0;) left -= read_some(far, buffer, deadline);
      write_all(far, std::span(buffer).first(1), deadline);
    } catch (const core::Error&) {
      far.reset();  // the other side sees the end and reports
    }
  });
  LoopbackSpeed speed;
  std::exception_ptr failure;
  try {
    std::vector<double> trips;
    std::vector<std::byte> buffer(1 << 18);
    for (int i = 0; i < kRoundTrips; ++i) {
      const auto start = Clock::now();
      write_all(near, std::span(buffer).first(1), deadline);
      read_exactly(near, std::span(buffer).first(1), deadline);
      trips.push_back(core::seconds_since(start) * 1e6);
    }
    std::nth_element(trips.begin(), trips.begin() + kRoundTrips / 2, trips.end());
    speed.round_trip_us = trips[kRoundTrips / 2];
    const auto start = Clock::now();
    for (std::size_t left = kPushBytes; left > 0; left -= buffer.size()) write_all(near, buffer, deadline);
    read_exactly(near, std::span(buffer).first(1), deadline);
    speed.bytes_per_s = static_cast<double>(kPushBytes) / core::seconds_since(start);
  } catch (...) {
    failure = std::current_exception();
    near.reset();
  }
  echo.join();
  if (failure) std::rethrow_exception(failure);
  return speed;
}

}  // namespace starling::tools

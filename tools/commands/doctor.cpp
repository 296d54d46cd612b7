// `starling doctor`: what this machine offers to a cluster and what it lacks.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/ops/probe.h"
#include "tools/command.h"
#include "tools/measure.h"

namespace starling::tools {
namespace {

struct DoctorOptions {
  bool json = false;
  std::string directory = ".";
};

std::string rate(double bytes_per_s) { return fmt::format("{:.2f} GB/s", bytes_per_s / 1e9); }
double gib(std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

int run_doctor(const DoctorOptions& options) {
  const Machine machine = describe_machine();
  const DiskSpeed disk = measure_disk(options.directory, 64u << 20);
  const LoopbackSpeed loopback = measure_loopback();
  core::Pool one_core(1);
  const double memory_bytes_per_s = core::measure_memory(one_core);
  if (options.json) {
    print_json({{"cores", machine.cores},
                {"cpu_quota_cores", machine.cpu_quota_cores},
                {"processor", machine.processor},
                {"simd", machine.simd},
                {"memory_bytes", machine.memory_bytes},
                {"memory_available_bytes", machine.memory_available_bytes},
                {"memory_read_bytes_per_s", memory_bytes_per_s},
                {"disk", {{"directory", options.directory}, {"write_bytes_per_s", disk.write_bytes_per_s},
                          {"read_bytes_per_s", disk.read_bytes_per_s}, {"free_bytes", disk.free_bytes}}},
                {"loopback", {{"bytes_per_s", loopback.bytes_per_s}, {"round_trip_us", loopback.round_trip_us}}},
                {"mpirun", machine.mpirun}, {"ssh", machine.ssh}, {"missing", machine.missing}});
    return 0;
  }
  print(fmt::format("processor  {} ({} cores usable, quota {:.2g})\n", machine.processor, machine.cores,
                    machine.cpu_quota_cores));
  print(fmt::format("SIMD       {}\n", machine.simd));
  print(fmt::format("memory     {:.1f} GiB, {:.1f} GiB available, one core reads {}\n", gib(machine.memory_bytes),
                    gib(machine.memory_available_bytes), rate(memory_bytes_per_s)));
  print(fmt::format("disk       {}: writes {}, reads {}, {:.1f} GiB free\n", options.directory,
                    rate(disk.write_bytes_per_s), rate(disk.read_bytes_per_s), gib(disk.free_bytes)));
  print(fmt::format("loopback   {}, round trip {:.1f} us\n", rate(loopback.bytes_per_s), loopback.round_trip_us));
  print(fmt::format("mpirun     {}\n", machine.mpirun.empty() ? "not found" : machine.mpirun));
  print(fmt::format("ssh        {}\n", machine.ssh.empty() ? "not found" : machine.ssh));
  for (const std::string& sentence : machine.missing) print("missing    " + sentence + "\n");
  if (machine.missing.empty()) print("missing    nothing\n");
  return 0;
}

}  // namespace

std::function<int()> doctor(CLI::App& app) {
  auto options = std::make_shared<DoctorOptions>();
  add_json_flag(app, options->json);
  app.add_option("--dir", options->directory, "where the disk is measured (a temporary file of 64 MB)");
  return [options] { return run_doctor(*options); };
}

}  // namespace starling::tools

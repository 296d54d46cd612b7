// The MPI transport: the conformance suite in processes under mpirun, and how a failure ends the job.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>

namespace {

/// Exit status of mpirun with `ranks` processes that run one test case of mpi_world.cpp.
int mpirun(int ranks, const std::string& test_case) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  // Open MPI itself ends without freeing everything, which is not for a sanitizer to report.
  const std::string command = fmt::format(
      "ASAN_OPTIONS=detect_leaks=0 mpirun --oversubscribe --allow-run-as-root --mca btl self,tcp --mca btl_tcp_if_include lo "
      "-n {} '{}' --no-skip --test-case='{}' > mpi_test.log 2>&1",
      ranks, self, test_case);
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool mpirun_is_there() {
  const bool there = std::system("command -v mpirun > /dev/null") == 0;
  if (!there) MESSAGE("skipped: no mpirun in PATH");
  return there;
}

}  // namespace

TEST_CASE("MPI carries frames as promised") {
  if (!mpirun_is_there()) return;
  CHECK(mpirun(2, "mpi: every transport carries frames as promised") == 0);
  CHECK(mpirun(4, "mpi: every transport carries frames as promised") == 0);
}

TEST_CASE("with MPI a failure ends the job non-zero within 5 s") {
  if (!mpirun_is_there()) return;
  for (const char* how : {"mpi: a rank gives up", "mpi: a rank is killed", "mpi: a rank stops"}) {
    CAPTURE(how);
    const auto start = std::chrono::steady_clock::now();
    CHECK(mpirun(3, how) != 0);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(6));  // mpirun itself starts in 1 s
  }
}

// The two halves of `starling bench collectives`: against Open MPI's MPI_Allreduce, and algorithm against
// algorithm over shaped links.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "comm/chooser.h"

namespace starling::tools::bench {

struct CollectivesOptions {
  std::vector<int> ranks;
  std::vector<std::uint64_t> sizes;  // bytes of F32
  int calls = 4000;                  // of a block
  int warmup = 200;                  // calls before each block
  int blocks = 10;                   // of each side, taking turns
  std::string link;                  // empty: the loopback interface as it is
  bool against_mpi = true;
  core::Sum sum = core::Sum::fast;   // of the table of algorithms
  int repetitions = 200;             // calls of each algorithm there
  double seconds_max = 4;            // of one algorithm at one size there, about; at least 5 calls
  bool json = false;
  // What the ranks of the benchmark are started with.
  bool worker = false;
  int lifeline = -1, announce = -1;
  std::string results;  // where rank 0 under mpirun writes its rows
};

/// One row per (ranks, size): `ranks, bytes, algorithm, median_us, p99_us, mpi_median_us, mpi_p99_us, ratio,
/// exact_...`. Starts mpirun once per number of ranks. Kind::unsupported when built without MPI,
/// Kind::missing without mpirun.
nlohmann::json compare_with_mpi(const CollectivesOptions& options);
/// A rank that mpirun started.
int run_mpi_rank(const CollectivesOptions& options);

/// rows, one per (ranks, size): the algorithms' times, what `auto` chose, how far it is from the best, the
/// acceptance targets that apply; crossings: sizes from which the star is slower, measured and predicted.
nlohmann::json compare_algorithms(const CollectivesOptions& options);
/// A rank that compare_algorithms started.
int run_link_rank(const CollectivesOptions& options);

nlohmann::json to_json(const comm::Choice& choice);

/// Times of one block of calls, of the slowest rank per call; microseconds.
struct Times {
  double median_us = 0, p99_us = 0;
};
Times summarise(std::vector<float> microseconds);

}  // namespace starling::tools::bench

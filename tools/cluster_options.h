// The options by which every command says what cluster it runs on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/link.h"
#include "tools/hosts.h"

namespace CLI {
class App;
}

namespace starling::tools {

struct ClusterOptions {
  std::string nodes = "local:1";  // local:N | URI,URI,... | FILE.toml | mpi
  std::string transport = "tcp";  // of local:N: tcp | zmq | inproc | mpi
  std::string partition = "auto";
  std::string shares;             // "3:1:1", empty: measured, or from the hosts file
  std::string allreduce = "auto";
  std::string sum = "exact";
  int threads = 0;                // per rank, 0: cores / local ranks
  std::optional<sim::LinkSpec> link;
  std::uint64_t memory_bytes = 0;  // per node, 0: no budget
  std::int64_t prefill_chunk = 64;

  /// N of local:N, unless its ranks are started by mpirun.
  std::optional<int> local_ranks() const;
  /// N of local:N with --transport mpi.
  std::optional<int> mpi_ranks() const;
  /// --nodes mpi: the ranks of the surrounding MPI job.
  bool nodes_from_mpi() const;
  /// The nodes of a list or a file, read once; empty for the other forms. Errors as in tools/hosts.h.
  const std::vector<Host>& hosts() const;

 private:
  mutable std::optional<std::vector<Host>> hosts_;
};

/// Adds those that say where the ranks are: --nodes --transport --threads --link.
void add_node_options(CLI::App& app, ClusterOptions& options);

/// Adds all options to `app`. What they say is checked when the command line is complete: Kind::usage and
/// unsupported name the option.
void add_cluster_options(CLI::App& app, ClusterOptions& options);

/// The checks that need several options. Kind::usage or unsupported.
void validate(const ClusterOptions& options);

}  // namespace starling::tools

// The client nodes of a federated run, each in a session of its own: threads, local processes, running nodes, or the
// ranks of an MPI job. The command is their server and trains nothing itself.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "comm/connect.h"
#include "comm/heartbeat.h"
#include "comm/rank_view.h"
#include "core/error.h"
#include "federated/remote_workplace.h"
#include "tools/cluster_options.h"
#include "tools/process.h"
#include "tools/relay.h"

namespace starling::tools {

class Fleet {
 public:
  /// Returns when all nodes are there. `states`: where nodes that this command starts keep their clients' states;
  /// empty: in memory. With --transport mpi outside of an MPI job it does not return, as in class Cluster.
  Fleet(const ClusterOptions& options, const std::filesystem::path& states);
  /// Says goodbye to the nodes (or aborts, see fail()) and ends the local processes.
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  /// `lasting`: nodes that were gone are taken up again when they are back, where they have addresses.
  std::vector<federated::ClientNode> nodes(bool lasting);
  const std::vector<std::string>& names() const { return names_; }

  /// A rank other than 0 of an MPI job: it serves (serve()) instead of running the command.
  bool is_worker() const { return world_ && world_->rank() != 0; }
  int serve();

  /// Tells all nodes why the run is given up, so that they free it at once.
  void fail(const core::Error& error) noexcept;

 private:
  void start_threads(int count, int threads);
  void connect_nodes(const std::vector<std::string>& uris, const std::vector<std::string>& names);
  comm::Connected connect(std::size_t node, std::chrono::seconds patience) const;
  void join_mpi(int threads);

  std::filesystem::path states_;
  std::vector<std::string> names_, uris_;
  LocalNodes processes_;
  std::unique_ptr<Relay> relay_;
  std::vector<std::unique_ptr<comm::Transport>> worker_ends_;  // of threads
  std::unique_ptr<comm::Transport> world_;                     // of MPI
  std::vector<std::unique_ptr<comm::Transport>> sessions_;
  std::vector<std::jthread> workers_;
  std::vector<std::unique_ptr<comm::Heartbeat>> heartbeats_;
  int threads_ = 1;
  bool failed_ = false;
};

}  // namespace starling::tools

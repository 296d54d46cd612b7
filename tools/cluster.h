// The ranks that a command computes with, made from its cluster options: threads, local processes, running
// nodes, or the ranks of an MPI job. The command itself is rank 0.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "comm/connect.h"
#include "comm/heartbeat.h"
#include "core/error.h"
#include "tools/cluster_options.h"
#include "tools/process.h"
#include "tools/relay.h"

namespace starling::tools {

/// Empty, or a sentence: some of these nodes multiply and add in one rounding step and others in two, so that
/// results depend on which of them computes what.
std::string unlike_arithmetic(const std::vector<comm::NodeInfo>& nodes);

class Cluster {
 public:
  /// Returns when all ranks are joined. With --transport mpi outside of an MPI job it does not return: the
  /// process becomes mpirun, which starts this very command on every rank.
  explicit Cluster(const ClusterOptions& options);
  /// Says goodbye to the nodes (or aborts, see fail()) and ends the local processes.
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  /// Null when the command computes alone.
  comm::Transport* transport() { return transport_.get(); }
  core::Rank size() const { return static_cast<core::Rank>(nodes_.size()); }
  const std::vector<comm::NodeInfo>& nodes() const { return nodes_; }
  /// Compute threads of rank 0.
  int threads() const { return nodes_.front().threads; }
  /// All ranks share one machine: their speeds are equal, and measuring would only disturb.
  bool local() const { return local_; }
  /// Shares that a hosts file fixed; empty otherwise.
  const std::vector<double>& shares() const { return shares_; }
  /// What the user should know about this cluster, a sentence each: links that are missing, unlike processors.
  const std::vector<std::string>& notes() const { return notes_; }
  const std::optional<LinkCheck>& link_check() const { return link_check_; }

  /// A rank other than 0 of an MPI job: it serves (serve()) instead of running the command.
  bool is_worker() const { return transport_ && transport_->rank() != 0; }
  int serve();

  /// Tells all nodes why the command gives up, so that they free the job at once.
  void fail(const core::Error& error) noexcept;

 private:
  void start_threads(int ranks, int threads);
  void start_processes(const ClusterOptions& options, int ranks);
  void connect_nodes(const std::vector<std::string>& uris, comm::NodeInfo self);
  void join_mpi(int threads);

  std::vector<comm::NodeInfo> nodes_;
  std::vector<double> shares_;
  bool local_ = true;
  std::vector<std::string> notes_;
  std::optional<LinkCheck> link_check_;
  LocalNodes processes_;
  std::unique_ptr<Relay> relay_;
  std::vector<std::unique_ptr<comm::Transport>> inproc_;
  std::unique_ptr<comm::Transport> transport_;
  std::vector<std::jthread> workers_;
  std::unique_ptr<comm::Heartbeat> heartbeat_;
  bool mpi_ = false;
  bool failed_ = false;
};

}  // namespace starling::tools

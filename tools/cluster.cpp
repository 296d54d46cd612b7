#include "tools/cluster.h"

#include <algorithm>

#include "comm/job.h"
#include "tools/hosts.h"
#include "tools/measure.h"
#include "tools/mpirun.h"
#include "tools/self.h"
#include "tools/services.h"
#ifdef STARLING_MPI
#include "comm/transports/mpi.h"
#endif

namespace starling::tools {

using core::Kind;

namespace {

/// By Highway's names; a node may be built for a processor that is not known here, which then is a recent one.
bool fuses_multiply_add(const std::string& simd) {
  static constexpr std::string_view kWithout[] = {"SSE2", "SSSE3", "SSE4", "EMU128", "SCALAR"};
  return std::find(std::begin(kWithout), std::end(kWithout), simd) == std::end(kWithout);
}

}  // namespace

std::string unlike_arithmetic(const std::vector<comm::NodeInfo>& nodes) {
  std::string without;
  for (const comm::NodeInfo& node : nodes)
    if (!fuses_multiply_add(node.simd)) without += fmt::format("{}{} ({})", without.empty() ? "" : ", ", node.name, node.simd);
  const auto fusing = [](const comm::NodeInfo& node) { return fuses_multiply_add(node.simd); };
  if (without.empty() || std::none_of(nodes.begin(), nodes.end(), fusing)) return "";
  return fmt::format("no fused multiply-add on {}, but on the other nodes: results are right, but their last bits "
                     "depend on how the model is cut",
                     without);
}

Cluster::Cluster(const ClusterOptions& options) {
  if (options.mpi_ranks()) become_mpirun(*options.mpi_ranks());
  if (options.nodes_from_mpi()) {
    join_mpi(options.threads);
  } else if (const auto ranks = options.local_ranks()) {
    const int threads = threads_per_rank(options.threads, *ranks);
    nodes_.push_back(describe_self("master", threads));
    if (*ranks > 1 && options.transport == "inproc") start_threads(*ranks, threads);
    if (*ranks > 1 && options.transport != "inproc") start_processes(options, *ranks);
  } else {
    local_ = false;
    std::vector<std::string> uris;
    for (const Host& host : options.hosts()) uris.push_back(host.uri);
    connect_nodes(uris, describe_self("master", threads_per_rank(options.threads, 1)));
    for (std::size_t i = 0; i < options.hosts().size(); ++i) {
      const Host& host = options.hosts()[i];
      if (!host.name.empty()) nodes_[i + 1].name = host.name;
      if (host.share) {
        if (shares_.empty()) shares_.assign(nodes_.size(), 1.0);
        shares_[i + 1] = *host.share;
      }
    }
  }
  if (transport_ && !is_worker()) heartbeat_ = std::make_unique<comm::Heartbeat>(*transport_);
}

void Cluster::start_threads(int ranks, int threads) {
  inproc_ = comm::inproc_group(ranks);
  transport_ = std::move(inproc_.front());
  for (int rank = 1; rank < ranks; ++rank) {
    nodes_.push_back(describe_self("node-" + std::to_string(rank), threads));
    workers_.emplace_back([transport = inproc_[static_cast<std::size_t>(rank)].get(), threads] {
      try {
        comm::serve_session(*transport, node_services({{0, threads}, {}, {}}));
      } catch (const core::Error&) {
        // The master has received the reason as an abort and reports it.
      }
    });
  }
}

void Cluster::start_processes(const ClusterOptions& options, int ranks) {
  LocalNodesOptions local;
  local.count = ranks - 1;
  local.scheme = options.transport == "zmq" ? "zmq+tcp" : options.transport;
  local.threads = nodes_.front().threads;
  if (options.memory_bytes > 0) local.arguments = {"--memory", std::to_string(options.memory_bytes)};
  processes_ = start_local_nodes(local);
  if (options.link) {
    relay_ = std::make_unique<Relay>(*options.link, processes_.uris);
    link_check_ = relay_->check();
  }
  const comm::NodeInfo self = nodes_.front();
  nodes_.clear();
  connect_nodes(processes_.uris, self);
}

void Cluster::connect_nodes(const std::vector<std::string>& uris, comm::NodeInfo self) {
  comm::ConnectOptions connect;
  connect.self = std::move(self);
  connect.session = new_session();
  connect.epoch = 1;
  connect.deadline = comm::after(std::chrono::seconds(20));
  if (relay_) connect.route = relay_->route();
  comm::Connected connected = comm::connect(uris, connect);
  transport_ = std::move(connected.transport);
  nodes_ = std::move(connected.nodes);
  if (!connected.missing_links.empty()) notes_.push_back(std::move(connected.missing_links));
  if (std::string note = unlike_arithmetic(nodes_); !note.empty()) notes_.push_back(std::move(note));
}

void Cluster::join_mpi([[maybe_unused]] int threads) {
#ifdef STARLING_MPI
  end_with_parent();
  mpi_ = true;
  transport_ = comm::mpi_world({});
  const int ranks = transport_->size();
  const int each = threads_per_rank(threads, ranks);
  for (int rank = 0; rank < ranks; ++rank)
    nodes_.push_back(describe_self(rank == 0 ? "master" : "rank-" + std::to_string(rank), each));
#else
  core::fail(Kind::unsupported, "--nodes mpi: this build has no MPI (STARLING_MPI=OFF)");
#endif
}

int Cluster::serve() {
  try {
    comm::serve_session(*transport_, node_services({{0, threads()}, {}, {}}));
  } catch (const core::Error& error) {
    fail(error);
    throw;
  }
  return 0;
}

void Cluster::fail(const core::Error& error) noexcept {
  failed_ = true;
  if (!transport_) return;
#ifdef STARLING_MPI
  if (mpi_) {
    // The other ranks would wait for this one for ever: MPI cannot lose a rank and go on.
    fmt::print(stderr, "starling: {}\n", error.what());
    comm::mpi_give_up(1);
  }
#endif
  try {
    comm::abort_session(*transport_, error);
  } catch (const core::Error&) {
    // The nodes notice by the closed links.
  }
}

Cluster::~Cluster() {
  heartbeat_.reset();
  if (transport_ && !is_worker() && !failed_) {
    try {
      comm::end_session(*transport_);
    } catch (const core::Error&) {
      // A node that is gone needs no goodbye.
    }
  }
  transport_.reset();
  workers_.clear();
}

}  // namespace starling::tools

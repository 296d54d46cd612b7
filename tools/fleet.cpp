#include "tools/fleet.h"

#include "comm/job.h"
#include "tools/mpirun.h"
#include "tools/self.h"
#include "tools/services.h"
#ifdef STARLING_MPI
#include "comm/transports/mpi.h"
#endif

namespace starling::tools {

using core::Kind;

Fleet::Fleet(const ClusterOptions& options, const std::filesystem::path& states) : states_(states) {
  if (options.mpi_ranks()) become_mpirun(*options.mpi_ranks() + 1);
  if (options.nodes_from_mpi()) {
    join_mpi(options.threads);
  } else if (const auto count = options.local_ranks()) {
    threads_ = threads_per_rank(options.threads, *count);
    if (options.transport == "inproc") {
      start_threads(*count, threads_);
    } else {
      LocalNodesOptions local;
      local.count = *count;
      local.scheme = options.transport == "zmq" ? "zmq+tcp" : options.transport;
      local.threads = threads_;
      if (!states.empty()) local.arguments = {"--state", states.string()};
      processes_ = start_local_nodes(local);
      if (options.link) {
        relay_ = std::make_unique<Relay>(*options.link, processes_.uris);
        relay_->check();
      }
      connect_nodes(processes_.uris, processes_.names);
    }
  } else {
    std::vector<std::string> uris, names;
    for (const Host& host : options.hosts()) {
      uris.push_back(host.uri);
      names.push_back(host.name);
    }
    connect_nodes(uris, names);
  }
  if (is_worker()) return;
  for (const auto& session : sessions_) {
    heartbeats_.push_back(std::make_unique<comm::Heartbeat>(*session));
    if (world_) break;  // one beats for all ranks
  }
}

void Fleet::start_threads(int count, int threads) {
  for (int i = 0; i < count; ++i) {
    auto ends = comm::inproc_group(2);
    sessions_.push_back(std::move(ends[0]));
    worker_ends_.push_back(std::move(ends[1]));
    names_.push_back(fmt::format("node-{}", i + 1));
    workers_.emplace_back([transport = worker_ends_.back().get(), threads, states = states_] {
      try {
        comm::serve_session(*transport, node_services({{0, threads}, {}, states}));
      } catch (const core::Error&) {
        // The server has received the reason as an abort and reports it.
      }
    });
  }
}

void Fleet::connect_nodes(const std::vector<std::string>& uris, const std::vector<std::string>& names) {
  uris_ = uris;
  for (std::size_t i = 0; i < uris.size(); ++i) {
    comm::Connected connected = connect(i, std::chrono::seconds(20));
    sessions_.push_back(std::move(connected.transport));
    names_.push_back(names[i].empty() ? connected.nodes.back().name : names[i]);
  }
}

comm::Connected Fleet::connect(std::size_t node, std::chrono::seconds patience) const {
  comm::ConnectOptions connect;
  connect.self = describe_self("server", 1);
  connect.session = new_session();
  connect.epoch = 1;
  connect.deadline = comm::after(patience);
  if (relay_)
    connect.route = [route = relay_->route(), node](core::Rank from, core::Rank, const std::string& uri) { return route(from, static_cast<core::Rank>(node) + 1, uri); };
  return comm::connect(std::span(&uris_[node], 1), connect);
}

void Fleet::join_mpi([[maybe_unused]] int threads) {
#ifdef STARLING_MPI
  end_with_parent();
  world_ = comm::mpi_world({});
  const int ranks = world_->size();
  threads_ = threads_per_rank(threads, std::max(1, ranks - 1));
  if (world_->rank() != 0) return;
  core::check(ranks > 1, Kind::usage, "--nodes mpi: one rank alone is a server without nodes; start two at least");
  const auto shared = std::make_shared<comm::SharedTransport>(*world_);
  for (core::Rank rank = 1; rank < ranks; ++rank) {
    sessions_.push_back(comm::rank_view(shared, rank));
    names_.push_back(fmt::format("rank-{}", rank));
  }
#else
  core::fail(Kind::unsupported, "--nodes mpi: this build has no MPI (STARLING_MPI=OFF)");
#endif
}

std::vector<federated::ClientNode> Fleet::nodes(bool lasting) {
  std::vector<federated::ClientNode> nodes;
  for (std::size_t i = 0; i < sessions_.size(); ++i) {
    nodes.push_back({sessions_[i].get(), 1});
    if (!lasting || uris_.empty()) continue;
    nodes.back().reconnect = [this, i] {
      heartbeats_[i].reset();
      sessions_[i].reset();
      sessions_[i] = connect(i, std::chrono::seconds(2)).transport;
      heartbeats_[i] = std::make_unique<comm::Heartbeat>(*sessions_[i]);
      return sessions_[i].get();
    };
  }
  return nodes;
}

int Fleet::serve() {
  try {
    comm::serve_session(*world_, node_services({{0, threads_}, {}, states_}));
  } catch (const core::Error& error) {
    fail(error);
    throw;
  }
  return 0;
}

void Fleet::fail(const core::Error& error) noexcept {
  failed_ = true;
#ifdef STARLING_MPI
  if (world_) {
    // The other ranks would wait for this one for ever: MPI cannot lose a rank and go on.
    fmt::print(stderr, "starling: {}\n", error.what());
    comm::mpi_give_up(1);
  }
#endif
  for (const auto& session : sessions_) {
    if (!session) continue;
    try {
      comm::abort_session(*session, error);
    } catch (const core::Error&) {
      // The node notices by the closed link.
    }
  }
}

Fleet::~Fleet() {
  heartbeats_.clear();
  for (const auto& session : sessions_) {
    if (failed_ || is_worker()) break;
    if (!session) continue;
    try {
      comm::end_session(*session);
    } catch (const core::Error&) {
      // A node that is gone needs no goodbye.
    }
  }
  sessions_.clear();
  workers_.clear();
  world_.reset();
}

}  // namespace starling::tools

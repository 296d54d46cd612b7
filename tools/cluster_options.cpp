// Parsing and checking of the cluster options.
#include "tools/cluster_options.h"

#include <algorithm>
#include <charconv>

#include <CLI/CLI.hpp>

#include "comm/collective.h"
#include "core/error.h"
#include "partition/plan.h"
#include "tools/nearest.h"
#include "tools/sizes.h"

namespace starling::tools {
namespace {

using core::check;
using core::Kind;

constexpr int kLocalRanksMax = 256;

/// N of "local:N"; nullopt when `nodes` has another form.
std::optional<int> local_count(const std::string& nodes) {
  constexpr std::string_view kLocal = "local";
  if (nodes.compare(0, kLocal.size(), kLocal) != 0 || nodes.find("://") != std::string::npos || nodes.ends_with(".toml"))
    return std::nullopt;
  int count = 0;
  const char* end = nodes.data() + nodes.size();
  const char* digits = nodes.data() + std::min(nodes.size(), kLocal.size() + 1);
  const auto [rest, error] = std::from_chars(digits, end, count);
  check(nodes.size() > kLocal.size() && nodes[kLocal.size()] == ':' && error == std::errc() && rest == end && count >= 1 &&
            count <= kLocalRanksMax,
        Kind::usage, "--nodes {}: expected local:N with N from 1 to {}", nodes, kLocalRanksMax);
  return count;
}

void check_name(const char* option, const std::string& name, const std::vector<std::string>& known) {
  check(std::find(known.begin(), known.end(), name) != known.end(), Kind::usage, "{} {}: unknown{} (known: {})", option, name,
        suggestion(name, known), fmt::join(known, " "));
}

std::vector<std::string> algorithms() {
  std::vector<std::string> names{"auto"};
  for (const comm::Collective& collective : comm::collectives()) names.emplace_back(collective.name);
  return names;
}

/// How many ranks the options ask for; nullopt when only the MPI job knows.
std::optional<int> ranks(const ClusterOptions& options) {
  if (options.nodes_from_mpi()) return std::nullopt;
  if (const auto local = local_count(options.nodes)) return local;
  return static_cast<int>(options.hosts().size()) + 1;
}

}  // namespace

std::optional<int> ClusterOptions::local_ranks() const {
  return transport == "mpi" ? std::nullopt : local_count(nodes);
}

std::optional<int> ClusterOptions::mpi_ranks() const { return transport == "mpi" ? local_count(nodes) : std::nullopt; }

bool ClusterOptions::nodes_from_mpi() const { return nodes == "mpi"; }

const std::vector<Host>& ClusterOptions::hosts() const {
  if (!hosts_) {
    if (nodes_from_mpi() || local_count(nodes))
      hosts_.emplace();
    else if (nodes.ends_with(".toml"))
      hosts_ = load_hosts(nodes);
    else if (nodes.find("://") != std::string::npos)
      hosts_ = parse_uris(nodes);
    else
      core::fail(Kind::usage, "--nodes {}: expected local:N, URI,URI,..., FILE.toml or mpi", nodes);
  }
  return *hosts_;
}

void validate(const ClusterOptions& options) {
  check_name("--transport", options.transport, {"tcp", "zmq", "inproc", "mpi"});
  check_name("--allreduce", options.allreduce, algorithms());
  check_name("--sum", options.sum, {"exact", "fast"});
  check(options.partition.find("pp") == std::string::npos, Kind::unsupported,
        "--partition {}: pipelines do not exist yet (known: single tp auto)", options.partition);
  check_name("--partition", options.partition, {"single", "tp", "auto"});
#ifndef STARLING_MPI
  check(options.transport != "mpi" && !options.nodes_from_mpi(), Kind::unsupported,
        "MPI was asked for, but this build has none (STARLING_MPI=OFF)");
#endif
  const auto count = ranks(options);
  check(options.partition != "single" || count == 1, Kind::usage, "--partition single: not with --nodes {}", options.nodes);
  if (!options.shares.empty() && count) partition::parse_shares(options.shares, *count);
  check(!options.link || (local_count(options.nodes) && (options.transport == "tcp" || options.transport == "zmq")), Kind::usage,
        "--link shapes --nodes local:N over tcp or zmq, not {} over {}", options.nodes, options.transport);
}

namespace {

constexpr const char* kGroup = "Cluster";

}  // namespace

void add_node_options(CLI::App& app, ClusterOptions& options) {
  app.add_option("--nodes", options.nodes, "local:N, running nodes URI,URI,..., a hosts file FILE.toml, or mpi")
      ->capture_default_str()->group(kGroup);
  app.add_option("--transport", options.transport, "of local:N: tcp, zmq, inproc or mpi")->capture_default_str()->group(kGroup);
  app.add_option("--threads", options.threads, "compute threads per rank (default: cores / local ranks)")
      ->check(CLI::Range(1, 1024))->group(kGroup);
  app.add_option_function<std::string>(
         "--link", [&options](const std::string& text) { options.link = sim::parse_link(text); },
         "shapes each local node's link, as delay=1ms,rate=300mbit")->group(kGroup);
  app.parse_complete_callback([&options] { validate(options); });
}

void add_cluster_options(CLI::App& app, ClusterOptions& options) {
  add_node_options(app, options);
  app.add_option("--partition", options.partition, "single, tp or auto")->capture_default_str()->group(kGroup);
  app.add_option("--shares", options.shares, "3:1:1, one per rank, 0 allowed (default: by measured speed)")->group(kGroup);
  app.add_option("--allreduce", options.allreduce, fmt::format("{}", fmt::join(algorithms(), ", ")))
      ->capture_default_str()->group(kGroup);
  app.add_option("--sum", options.sum, "exact: the same bits on any plan; fast: plain F32")->capture_default_str()->group(kGroup);
  app.add_option_function<std::string>(
         "--memory", [&options](const std::string& text) { options.memory_bytes = parse_size(text, "--memory"); },
         "budget per node, as 512M or 4G")->group(kGroup);
  app.add_option("--prefill-chunk", options.prefill_chunk, "positions of the prompt that are computed together")
      ->capture_default_str()->check(CLI::Range(1, 65536))->group(kGroup);
}

}  // namespace starling::tools

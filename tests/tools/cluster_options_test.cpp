// The cluster options: what they mean, and what is said when they do not fit together.
#include "tools/cluster_options.h"

#include <fstream>

#include <CLI/CLI.hpp>
#include <doctest/doctest.h>

#include "tests/tools/program.h"

using namespace starling;
using core::Kind;
using tests::contains;
using tools::ClusterOptions;

namespace {

/// Parsed as a command line; words are separated by blanks.
ClusterOptions parsed(const std::string& words) {
  ClusterOptions options;
  CLI::App app;
  tools::add_cluster_options(app, options);
  app.parse(words, false);
  return options;
}

std::string refused(const std::string& words, Kind kind = Kind::usage) {
  return tests::refusal(kind, [&] { parsed(words); });
}

}  // namespace

TEST_CASE("without options a command computes alone") {
  const ClusterOptions options = parsed("");
  CHECK(options.local_ranks() == 1);
  CHECK_FALSE(options.mpi_ranks());
  CHECK_FALSE(options.nodes_from_mpi());
  CHECK(options.hosts().empty());
  CHECK(options.sum == "exact");
}

TEST_CASE("--nodes has four forms") {
  CHECK(parsed("--nodes local:4").local_ranks() == 4);
  CHECK(parsed("--nodes tcp://a:1,zmq+tcp://b:2").hosts().size() == 2);
  CHECK_FALSE(parsed("--nodes tcp://local:1").local_ranks());
  const tests::TemporaryFolder folder;
  std::ofstream(folder / "local.toml") << "[[node]]\nuri = \"tcp://a:1\"\nshare = 2";
  const ClusterOptions file = parsed("--nodes " + (folder / "local.toml"));
  CHECK_FALSE(file.local_ranks());
  REQUIRE(file.hosts().size() == 1);
  CHECK(file.hosts()[0].share == 2.0);
#ifdef STARLING_MPI
  CHECK(parsed("--nodes mpi").nodes_from_mpi());
  const ClusterOptions mpi = parsed("--nodes local:3 --transport mpi");
  CHECK(mpi.mpi_ranks() == 3);
  CHECK_FALSE(mpi.local_ranks());
#endif
}

TEST_CASE("every option arrives") {
  const ClusterOptions options = parsed(
      "--nodes local:3 --transport zmq --partition tp --shares 3:1:0 --allreduce ring --sum fast --threads 2 "
      "--link delay=1ms,rate=300mbit --memory 2G --prefill-chunk 7");
  CHECK(options.transport == "zmq");
  CHECK(options.partition == "tp");
  CHECK(options.shares == "3:1:0");
  CHECK(options.allreduce == "ring");
  CHECK(options.sum == "fast");
  CHECK(options.threads == 2);
  CHECK(options.link == sim::parse_link("delay=1ms,rate=300mbit"));
  CHECK(options.memory_bytes == std::uint64_t{2} << 30);
  CHECK(options.prefill_chunk == 7);
}

TEST_CASE("what does not fit is refused with the option named") {
  CHECK(contains(refused("--nodes local:0"), "--nodes local:0: expected local:N"));
  CHECK(contains(refused("--nodes local:4x"), "--nodes local:4x"));
  CHECK(contains(refused("--nodes local"), "--nodes local: expected local:N"));
  CHECK(contains(refused("--nodes somewhere"), "--nodes somewhere: expected local:N, URI,URI,..., FILE.toml or mpi"));
  CHECK(contains(refused("--nodes udp://a:1"), "unknown scheme 'udp'"));
  CHECK(contains(refused("--nodes /no/such.toml", Kind::missing), "/no/such.toml"));
  CHECK(contains(refused("--transport tpc"), "--transport tpc: unknown; did you mean 'tcp'?"));
  CHECK(contains(refused("--allreduce rnig"), "did you mean 'ring'?"));
  CHECK(contains(refused("--sum quick"), "known: exact fast"));
  CHECK(contains(refused("--partition pp", Kind::unsupported), "--partition pp"));
  CHECK(contains(refused("--partition tp=2,pp=2", Kind::unsupported), "--partition tp=2,pp=2"));
  CHECK(contains(refused("--partition single --nodes local:2"), "--partition single"));
  CHECK(contains(refused("--nodes local:2 --shares 1:1:1"), "--shares"));
  CHECK(contains(refused("--link delay=1ms --nodes tcp://a:1"), "--link"));
  CHECK(contains(refused("--link delay=1ms --nodes local:2 --transport inproc"), "--link"));
  CHECK(contains(refused("--link delay=1"), "unknown unit"));
  CHECK(contains(refused("--memory many"), "--memory: 'many' is no size"));
}

TEST_CASE("numbers out of range are refused by the parser") {
  for (const std::string words : {"--threads 0", "--threads 1025", "--prefill-chunk 0", "--threads x"}) {
    CAPTURE(words);
    CHECK_THROWS_AS(parsed(words), CLI::ParseError);
  }
}

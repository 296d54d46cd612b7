// The list of plans: whole, and a part in which all pairs of values still meet.
#include "tools/bench/combinations.h"

#include <set>

#include <doctest/doctest.h>

#include "core/error.h"

using namespace starling::tools::bench;

namespace {

const Axes kAxes{{"inproc", "tcp", "zmq", "mpi"}, {1, 2, 3, 4, 5, 8}, 2, {"even", "falling", "zero"},
                 {"star", "exchange", "ring", "tree", "direct"}, {1, 7, 64, 0}};

}  // namespace

TEST_CASE("every combination is there once, and one rank only as often as it can differ") {
  const auto all = combinations(kAxes);
  CHECK(all.size() == 4 * 5 * 2 * 3 * 5 * 4 + 4 * 2 * 4);
  std::set<std::string> seen;
  for (const Combination& c : all) seen.insert(c.transport + std::to_string(c.ranks) + to_text(c));
  CHECK(seen.size() == all.size());
}

TEST_CASE("the covering part is small and misses no pair") {
  const auto all = combinations(kAxes);
  const auto some = covering_pairs(all);
  CHECK(some.size() < 60);
  CHECK(some.size() >= 25);
  const auto meet = [&](auto one, auto other) {
    std::set<std::string> in_all, in_some;
    for (const Combination& c : all) in_all.insert(one(c) + "|" + other(c));
    for (const Combination& c : some) in_some.insert(one(c) + "|" + other(c));
    CHECK(in_all == in_some);
  };
  const auto transport = [](const Combination& c) { return c.transport; };
  const auto ranks = [](const Combination& c) { return std::to_string(c.ranks); };
  const auto shares = [](const Combination& c) { return c.shares; };
  const auto algorithm = [](const Combination& c) { return c.algorithm; };
  const auto rest = [](const Combination& c) { return std::to_string(c.model) + "/"; };
  const auto chunk = [](const Combination& c) { return std::to_string(c.chunk); };
  meet(transport, ranks);
  meet(transport, algorithm);
  meet(ranks, algorithm);
  meet(ranks, shares);
  meet(shares, algorithm);
  meet(rest, ranks);
  meet(chunk, algorithm);
  meet(chunk, transport);
}

TEST_CASE("a combination survives the command line of an MPI job") {
  const Combination c{"", 1, 1, "zero", "tree", 7};
  CHECK(parse_combination(to_text(c)) == c);
  CHECK_THROWS_AS(parse_combination("1:even:star"), starling::core::Error);
  CHECK_THROWS_AS(parse_combination("x:even:star:64"), starling::core::Error);
}

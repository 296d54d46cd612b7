// Partitions: nothing lost, nothing twice, the same for one seed, and distributed as their definitions say.
#include "core/data/partition.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <doctest/doctest.h>

#include "core/error.h"
#include "core/random_stream.h"

using namespace starling::core;

namespace {

std::vector<std::int32_t> ten_classes(std::size_t n) {
  std::vector<std::int32_t> labels(n);
  for (std::size_t i = 0; i < n; ++i) labels[i] = static_cast<std::int32_t>(i * 7919 % n * 10 / n);
  return labels;
}

Partition make(PartitionOptions o, const std::vector<std::int32_t>& labels, const std::vector<std::int32_t>& keys = {}) {
  return partition(o, labels.size(), labels, keys);
}

PartitionOptions options(const std::string& kind, std::int64_t clients, std::uint64_t seed = 1) {
  PartitionOptions o;
  o.kind = kind;
  o.clients = clients;
  o.seed = seed;
  return o;
}

std::multiset<std::size_t> sizes(const Partition& p) {
  std::multiset<std::size_t> result;
  for (const auto& part : p) result.insert(part.size());
  return result;
}

std::size_t distinct_labels(const std::vector<std::uint32_t>& part, const std::vector<std::int32_t>& labels) {
  std::set<std::int32_t> seen;
  for (const std::uint32_t i : part) seen.insert(labels[i]);
  return seen.size();
}

}  // namespace

TEST_CASE("every partition uses every example once, and one seed gives one partition") {
  const auto labels = ten_classes(3000);
  std::vector<std::int32_t> keys;
  for (int i = 0; i < 3000; ++i) keys.push_back(i * i % 37);
  for (const std::string_view kind : partition_kinds())
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
      PartitionOptions o = options(std::string(kind), 20, seed);
      o.alpha = 3;
      const Partition p = make(o, labels, keys);
      std::vector<int> seen(labels.size());
      for (const auto& part : p)
        for (const std::uint32_t i : part) ++seen.at(i);
      CAPTURE(kind);
      CHECK(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));
      if (seed < 3) {
        CHECK(p == make(o, labels, keys));
        o.seed += 100;
        if (kind != "natural") CHECK(p != make(o, labels, keys));
      }
    }
}

TEST_CASE("sizes of iid and shards are those of the definitions") {
  CHECK(sizes(make(options("iid", 7), ten_classes(100))) == std::multiset<std::size_t>{14, 14, 14, 14, 14, 15, 15});
  const auto labels = ten_classes(60000);
  PartitionOptions mnist = options("shards", 100);
  const Partition p = make(mnist, labels);
  double mean = 0;
  for (const auto& part : p) {
    CHECK(part.size() == 600);
    CHECK(distinct_labels(part, labels) <= 2);
    mean += static_cast<double>(distinct_labels(part, labels)) / 100;
  }
  CHECK(mean > 1.8);
  CHECK(mean <= 2);
  // Flower's worked examples.
  PartitionOptions incomplete = options("shards", 10);
  incomplete.shard_size = 990;
  incomplete.keep_incomplete = true;
  CHECK(sizes(make(incomplete, labels)).size() == 10);
  std::size_t sum = 0;
  for (const std::size_t s : sizes(make(incomplete, labels))) {
    CHECK((s == 5550 || s == 5940 || s == 6930 || s == 6540));
    sum += s;
  }
  CHECK(sum == 60000);
  PartitionOptions nine = options("shards", 9);
  nine.shard_size = 1000;
  CHECK(sizes(make(nine, labels)) == std::multiset<std::size_t>{6000, 6000, 6000, 7000, 7000, 7000, 7000, 7000, 7000});
}

TEST_CASE("dirichlet goes from one label a client to all alike") {
  const auto labels = ten_classes(20000);
  PartitionOptions o = options("dirichlet", 10);
  o.alpha = 1e6;
  for (const auto& histogram : report(make(o, labels), labels.size(), labels).histogram)
    for (const std::int64_t count : histogram) CHECK(std::abs(count - 200) <= 2);
  o.alpha = 1e-3;
  o.min_size = 0;
  const auto extreme = report(make(o, labels), labels.size(), labels);
  for (std::size_t c = 0; c < 10; ++c) {
    std::vector<std::int64_t> held;
    for (const auto& histogram : extreme.histogram) held.push_back(histogram[c]);
    std::sort(held.rbegin(), held.rend());
    CHECK(held[0] + held[1] >= 1900);
  }
  double last = 1;
  for (const double alpha : {0.1, 0.5, 1.0, 10.0}) {
    o.alpha = alpha;
    o.min_size = 10;
    const auto r = report(make(o, labels), labels.size(), labels);
    CHECK(r.total_variation < last);
    CHECK(r.smallest >= 10);
    CHECK(r.unused == 0);
    last = r.total_variation;
  }
  o.alpha = 0.1;
  o.balance = true;
  CHECK(report(make(o, labels), labels.size(), labels).largest < 20000 / 10 * 2);
}

TEST_CASE("Dirichlet numbers have the mean and the variance of the distribution") {
  for (const double alpha : {0.05, 0.5, 3.0}) {
    CAPTURE(alpha);
    constexpr int kDraws = 4000;
    constexpr double kParts = 10;
    RandomStream random(3, Purpose::partition, {});
    double sum = 0, squares = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double v = random.dirichlet(alpha, 10).front();
      sum += v;
      squares += v * v;
    }
    const double mean = sum / kDraws, variance = squares / kDraws - mean * mean;
    const double expected = (kParts - 1) / (kParts * kParts * (kParts * alpha + 1));
    CHECK(std::abs(mean - 0.1) < 4 * std::sqrt(expected / kDraws));
    CHECK(variance == doctest::Approx(expected).epsilon(0.1));
  }
}

TEST_CASE("labels gives each client its number of labels, classes split equally") {
  const auto labels = ten_classes(10000);
  const Partition p = make(options("labels", 10), labels);
  std::vector<std::vector<std::int64_t>> held(10);
  for (const auto& part : p) CHECK(distinct_labels(part, labels) == 2);
  for (const auto& histogram : report(p, labels.size(), labels).histogram)
    for (std::size_t c = 0; c < 10; ++c)
      if (histogram[c] > 0) held[c].push_back(histogram[c]);
  for (const auto& counts : held) CHECK(*std::max_element(counts.begin(), counts.end()) - *std::min_element(counts.begin(), counts.end()) <= 1);
}

TEST_CASE("natural follows the keys, merges and leaves out") {
  const std::vector<std::int32_t> labels(10), keys{5, 5, 5, 1, 1, 9, 9, 9, 9, 2};
  PartitionOptions o = options("natural", 1);
  CHECK(make(o, labels, keys) == Partition{{3, 4}, {9}, {0, 1, 2}, {5, 6, 7, 8}});
  o.min_examples = 2;
  CHECK(make(o, labels, keys) == Partition{{3, 4}, {0, 1, 2}, {5, 6, 7, 8}});
  o.merge = 2;
  CHECK(make(o, labels, keys) == Partition{{3, 4, 0, 1, 2}, {5, 6, 7, 8}});
  CHECK(noise_deviation(0.1, 0, 5) == 0);
  CHECK(noise_deviation(0.1, 4, 5) == 0.1);
}

TEST_CASE("impossible partitions are refused by name") {
  const auto labels = ten_classes(100);
  const auto said = [&](PartitionOptions o, const std::vector<std::int32_t>& l) {
    try {
      partition(o, 100, l, {});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(said(options("dirichelt", 5), labels).find("known: iid dirichlet") != std::string::npos);
  CHECK(said(options("iid", 101), labels).find("101 clients for 100 examples") != std::string::npos);
  CHECK(said(options("dirichlet", 5), {}).find("have no labels") != std::string::npos);
  CHECK(said(options("natural", 5), labels).find("whose it is") != std::string::npos);
  PartitionOptions o = options("dirichlet", 20);
  o.alpha = 0.01;
  CHECK(said(o, labels).find("lower min_size") != std::string::npos);
  o.alpha = -1;
  CHECK(said(o, labels).find("alpha = -1") != std::string::npos);
  o = options("labels", 5);
  o.labels_per_client = 11;
  CHECK(said(o, labels).find("expected 1 to 10") != std::string::npos);
}

TEST_CASE("noise grows from client to client") {
  Examples data;
  data.count = 4000;
  data.values_each = 10;
  data.values.resize(40000);
  const Partition p = partition(options("noise", 4), 4000, {}, {});
  add_noise(p, 0.3, 5, data);
  for (std::size_t client = 0; client < 4; ++client) {
    double squares = 0;
    for (const std::uint32_t i : p[client])
      for (std::size_t k = 0; k < 10; ++k) squares += std::pow(static_cast<double>(data.values[i * 10 + k]), 2);
    const double expected = noise_deviation(0.3, static_cast<std::int64_t>(client), 4);
    CHECK(squares / static_cast<double>(p[client].size() * 10) == doctest::Approx(expected * expected).epsilon(0.04));
  }
}

// Which examples belong to which client: seeded, the same everywhere, computed from labels or keys alone. Definitions
// follow Flower Datasets, NIID-Bench and LEAF.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/dataset.h"

namespace starling::core {

struct PartitionOptions {
  std::string kind = "iid";  // one of partition_kinds()
  std::int64_t clients = 10;
  std::uint64_t seed = 1;
  double alpha = 0.5;                 // dirichlet, quantity
  bool balance = false;               // dirichlet: a client with its fair share gets no more
  std::int64_t min_size = 10;         // dirichlet, quantity: drawn again below that
  int tries = 100;
  std::int64_t shards_per_client = 2;  // shards
  std::int64_t shard_size = 0;         // shards: 0: examples / (clients * shards_per_client)
  bool keep_incomplete = false;        // shards: the last, smaller one
  std::int64_t labels_per_client = 2;  // labels
  std::int64_t min_examples = 0;       // natural: smaller clients are left out
  std::int64_t merge = 1;              // natural: so many keys make one client
};

/// Example numbers of every client.
using Partition = std::vector<std::vector<std::uint32_t>>;

/// `labels`: one per example, from 0; needed by dirichlet, shards and labels. `keys`: one per example, needed by
/// natural. Kind::usage naming the setting for impossible values, Kind::refused when min_size is not met in `tries`.
Partition partition(const PartitionOptions& options, std::size_t examples, std::span<const std::int32_t> labels,
                    std::span<const std::int32_t> keys);
std::vector<std::string_view> partition_kinds();

/// What a partition did to the labels.
struct PartitionReport {
  std::vector<std::vector<std::int64_t>> histogram;  // [client][label]
  std::int64_t smallest = 0, largest = 0, unused = 0;
  /// Mean over clients of half the sum of |own share - global share| of the labels.
  double total_variation = 0;
};
PartitionReport report(const Partition& partition, std::size_t examples, std::span<const std::int32_t> labels);

/// The standard deviation of the noise that client i of N adds to every value of its examples ("noise" of NIID-Bench's
/// code): level * i / (N - 1).
double noise_deviation(double level, std::int64_t client, std::int64_t clients);
/// Adds that noise to the values of every client's examples.
void add_noise(const Partition& partition, double level, std::uint64_t seed, Examples& examples);

}  // namespace starling::core

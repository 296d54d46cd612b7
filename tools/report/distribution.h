// How an experiment deals the examples to its clients: counts for people, as a table of text or for a picture.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/data/partition.h"
#include "tools/experiment.h"

namespace starling::tools {

struct Distribution {
  std::int64_t examples = 0;
  std::int64_t labels = 0;          // 0: an example has no single label, as texts have not
  std::vector<std::int64_t> sizes;  // examples of every client
  core::PartitionReport counts;     // counts.histogram is [client][label]

  double mean_size() const;
};

Distribution distribution_of(const core::Partition& partition, const core::Examples& train);
/// Loads the data and deals it again: the same parts as in training. Throws what those two throw.
Distribution distribution_of(const Experiment& experiment);

/// "20 clients by dirichlet (alpha = 0.5, min_size = 10)": the settings that the kind of partition looks at.
std::string how_dealt(const Experiment& experiment);

/// All clients where there are at most `count_max`, else so many of them evenly from the smallest to the largest.
std::vector<std::size_t> shown_clients(const Distribution& distribution, std::size_t count_max);

/// A line a client: size, counts by label while they fit a terminal, and the shares as characters from ' ' to '@'. Then
/// a line with the smallest, the largest and the total variation.
std::string distribution_table(const Distribution& distribution);
nlohmann::ordered_json to_json(const Distribution& distribution);

}  // namespace starling::tools

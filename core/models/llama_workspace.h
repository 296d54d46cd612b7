// What one forward pass computes in, and the part of it that mixtures of experts need.
#pragma once

#include <vector>

#include "core/models/llama.h"
#include "core/ops/route.h"

namespace starling::core {

/// The angles of one kind of layers for the rows of a pass.
struct RopeTable {
  std::vector<double> frequencies;  // {pairs}; none where no layer is of that kind
  double magnitude = 1;
  std::vector<float> cosine, sine;  // {rows, pairs}
};

struct LlamaWorkspace::Buffers {
  RopeTable rope, window_rope;                   // the second only where layers with a window turn otherwise
  std::vector<float> normed;                     // {rows, D}
  std::vector<float> query, key, value, heads;   // {rows, heads * head_size} of the slice
  std::vector<float> gate, up;                   // {rows, ffn of the slice}
  std::vector<double> parts;                     // {rows, D}: this rank's grid sums
  std::vector<float> total;                      // {rows, D}

  // Only of models with experts.
  std::vector<float> routing;                    // {rows, experts}
  std::vector<Route> routes;                     // {rows, experts used}
  std::vector<Route> chosen;                     // {rows}: the rows of one expert and their weights
  std::vector<float> chosen_rows;                // {rows, D}
  std::vector<double> chosen_parts;              // {rows, D}
};

/// Where a mixture is computed.
struct MixtureJob {
  const LlamaShard& shard;
  std::int64_t layer, rows;
  Pool& pool;
};

/// This rank's terms of  sum of share_e(x) * down_e gated(gate_e x, up_e x)  over the experts of a layer, for every row of
/// x {rows, D}: grid sums in `parts`, or in `total` where that is empty. Shares multiply the columns that go into down_e,
/// so that what is summed is on the grid; rows with the same expert are computed together, and none depends on another.
void add_experts(const MixtureJob& job, std::span<const float> x, LlamaWorkspace::Buffers& buffers, std::span<double> parts,
                 std::span<float> total);

}  // namespace starling::core

// Which rank computes which slice of a model, as data: planners make it, the engine runs it, the program
// prints it. Tensor parallelism after TPI-LLM (Li et al. 2024, section 2): attention is dealt by kv groups,
// the feed-forward part by fixed units of columns, both in proportion to the shares.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/group.h"
#include "core/models/llama.h"

namespace starling::partition {

using core::Rank;

/// Sequences that have a cache at the same time, at most.
inline constexpr std::int64_t kSequencesMax = 1024;

struct RankPlan {
  std::string name;
  double share = 0;  // of the whole, 0..1
  core::LlamaSlice slice;
  std::uint64_t weight_bytes = 0;
  std::uint64_t kv_bytes = 0;  // of all sequences
};

struct Plan {
  std::string partition;  // "single" or "tp"
  core::Sum sum = core::Sum::exact;
  std::int64_t positions = 0;  // length of a sequence's cache
  std::int64_t sequences = 1;  // that have a cache at the same time
  core::Type kv_type = core::Type::f32;
  std::vector<RankPlan> ranks;
  std::uint64_t bytes_per_token = 0;  // operand bytes that one decoded token adds up over ranks, per rank
};

/// "3:1:1" as numbers, one per rank. Kind::usage unless there are `ranks` entries, finite, not negative and
/// not all zero.
std::vector<double> parse_shares(std::string_view text, Rank ranks);

/// `units` indivisible units dealt by largest remainder; a share of 0 gets none. The counts add up to `units`.
std::vector<std::int64_t> deal(std::int64_t units, std::span<const double> shares);

/// Contiguous slices in rank order, cut at unit boundaries.
std::vector<core::LlamaSlice> slices(const core::LlamaConfig& config, std::span<const double> shares);

/// Bytes of the weights that a rank with `slice` keeps resident (rank 0 adds embedding, norm and head).
std::uint64_t slice_bytes(const core::LlamaModel& model, const core::LlamaSlice& slice);

/// Bytes of the keys and values that a rank with `slice` keeps.
std::uint64_t cache_bytes(const core::LlamaConfig& config, const core::LlamaSlice& slice, core::Type type, std::int64_t positions,
                          std::int64_t sequences);

struct PlanOptions {
  std::vector<double> shares;      // one per rank
  std::vector<std::string> names;  // one per rank
  std::vector<std::uint64_t> memory_bytes;  // budget per rank; 0: no limit known. May be empty.
  core::Sum sum = core::Sum::exact;
  std::int64_t positions = 0;
  std::int64_t sequences = 1;
  core::Type kv_type = core::Type::f32;
};

/// Kind::refused, naming the node and both sizes, when a rank's part exceeds its budget.
Plan make_plan(const core::LlamaModel& model, const PlanOptions& options);

}  // namespace starling::partition

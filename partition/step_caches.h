// The keys and values of the sequences that a rank serves, a slot each.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/models/llama.h"
#include "partition/shard_step.h"

namespace starling::partition {

class StepCaches {
 public:
  StepCaches(const core::LlamaConfig& config, const core::LlamaSlice& slice, core::Type type, std::int64_t positions,
             std::int64_t sequences);
  std::uint64_t bytes() const;
  /// Makes the copies of `segments` and says where the model finds each one's keys and values; valid until the next call.
  std::span<const core::Segment> prepare(std::span<const StepSegment> segments);

 private:
  std::vector<core::KvCache> slots_;
  std::vector<core::Segment> segments_;
};

}  // namespace starling::partition

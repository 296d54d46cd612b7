#include "partition/step_caches.h"

namespace starling::partition {

StepCaches::StepCaches(const core::LlamaConfig& config, const core::LlamaSlice& slice, core::Type type, std::int64_t positions,
                       std::int64_t sequences) {
  for (std::int64_t i = 0; i < sequences; ++i) slots_.emplace_back(config, slice, type, positions);
  segments_.reserve(slots_.size());
}

std::uint64_t StepCaches::bytes() const { return slots_.size() * slots_.front().bytes(); }

std::span<const core::Segment> StepCaches::prepare(std::span<const StepSegment> segments) {
  segments_.clear();
  for (const StepSegment& s : segments) {
    if (s.source != s.slot) slots_[s.slot].copy_from(slots_[s.source], s.position);
    segments_.push_back({&slots_[s.slot], s.position, s.rows});
  }
  return segments_;
}

}  // namespace starling::partition

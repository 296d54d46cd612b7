#include "partition/shard_step.h"

#include <cstring>

#include "core/error.h"

namespace starling::partition {

using core::check;
using core::ensure;
using core::Kind;

StepBuffer::StepBuffer(const StepLimits& limits) : limits_(limits) {
  ensure(limits.sequences > 0 && limits.sequences <= kSequencesMax && limits.rows > 0 && limits.width > 0, "a step without bounds");
  segments_.reserve(static_cast<std::size_t>(limits.sequences));
  bytes_.resize(size_of(static_cast<std::size_t>(limits.sequences), limits.rows));
}

std::size_t StepBuffer::size_of(std::size_t segments, std::int64_t rows) const {
  return kStepHeaderBytes + segments * kStepSegmentBytes + static_cast<std::size_t>(rows * limits_.width) * sizeof(float);
}

std::span<float> StepBuffer::hidden() {
  std::byte* begin = bytes_.data() + kStepHeaderBytes + segments_.size() * kStepSegmentBytes;
  return {reinterpret_cast<float*>(begin), static_cast<std::size_t>(rows_ * limits_.width)};
}

void StepBuffer::set(std::span<const StepSegment> segments) {
  ensure(segments.size() <= static_cast<std::size_t>(limits_.sequences), "more segments than sequences");
  segments_.assign(segments.begin(), segments.end());
  rows_ = 0;
  for (const StepSegment& segment : segments) rows_ += segment.rows;
  ensure(rows_ > 0 && rows_ <= limits_.rows, "more rows than a step holds");
  size_ = size_of(segments_.size(), rows_);
  const std::uint32_t header[4] = {static_cast<std::uint32_t>(segments.size()), static_cast<std::uint32_t>(rows_), 0, 0};
  std::memcpy(bytes_.data(), header, sizeof header);
  std::memcpy(bytes_.data() + sizeof header, segments.data(), segments.size_bytes());
}

std::span<std::byte> StepBuffer::receive(std::uint64_t size, std::string_view peer) {
  const std::size_t shortest = size_of(1, 1);
  check(size >= shortest && size <= bytes_.size(), Kind::malformed, "{}: step of {} bytes: expected {} to {}", peer, size, shortest,
        bytes_.size());
  size_ = static_cast<std::size_t>(size);
  return std::span(bytes_).first(size_);
}

void StepBuffer::decode(std::string_view peer) {
  std::uint32_t header[4];
  std::memcpy(header, bytes_.data(), sizeof header);
  const std::int64_t count = header[0], rows = header[1];
  check(count >= 1 && count <= limits_.sequences, Kind::malformed, "{}: step of {} segments: expected 1 to {}", peer, count,
        limits_.sequences);
  check(rows >= 1 && rows <= limits_.rows && size_of(static_cast<std::size_t>(count), rows) == size_, Kind::malformed,
        "{}: step of {} rows and {} segments in {} bytes: expected 1 to {} rows of {} floats", peer, rows, count, size_, limits_.rows,
        limits_.width);
  check(header[2] == 0 && header[3] == 0, Kind::malformed, "{}: step: the reserved field is not zero", peer);
  segments_.resize(static_cast<std::size_t>(count));
  std::memcpy(segments_.data(), bytes_.data() + sizeof header, segments_.size() * kStepSegmentBytes);
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const StepSegment& s = segments_[i];
    check(s.slot < limits_.sequences && s.source < limits_.sequences, Kind::malformed, "{}: step: segment {}: slots {} and {} of {}", peer, i,
          s.slot, s.source, limits_.sequences);
    check(s.rows >= 1 && s.rows <= limits_.rows && s.position <= limits_.positions && s.rows <= limits_.positions - s.position,
          Kind::malformed, "{}: step: segment {}: {} rows at position {}: the cache holds {}", peer, i, s.rows, s.position,
          limits_.positions);
    for (std::size_t j = 0; j < i; ++j)
      check(segments_[j].slot != s.slot, Kind::malformed, "{}: step: segments {} and {} share slot {}", peer, j, i, s.slot);
    sum += s.rows;
  }
  check(sum == rows, Kind::malformed, "{}: step: segments of {} rows in all, the step has {}", peer, sum, rows);
  rows_ = rows;
}

}  // namespace starling::partition

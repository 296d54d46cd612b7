// The frame that starts a forward step, little-endian:
//
//   u32 segments, u32 rows, u64 0, then for every segment u32 slot, u32 source, u32 position, u32 rows,
//   then rows x D floats: the residual stream of all segments, one after the other
//
// A slot is a place for one sequence's cache. Before anything is computed a segment whose source is another slot
// takes over its first `position` positions; these copies are made in the order of the segments.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "partition/plan.h"

namespace starling::partition {

inline constexpr std::size_t kStepHeaderBytes = 16, kStepSegmentBytes = 16;

struct StepSegment {
  std::uint32_t slot = 0, source = 0, position = 0, rows = 0;

  friend bool operator==(const StepSegment&, const StepSegment&) = default;
};

/// What a step may ask for.
struct StepLimits {
  std::int64_t sequences = 1, positions = 0, rows = 0, width = 0;
};

/// A step in the buffer that travels: the residual stream lies behind the segments, so that nothing is copied. All
/// memory is taken at the start.
class StepBuffer {
 public:
  explicit StepBuffer(const StepLimits& limits);

  /// The master's half: writes the segments; then hidden() is to be filled and bytes() to be sent.
  void set(std::span<const StepSegment> segments);
  /// The worker's half: room for a frame of `size` bytes. Kind::malformed naming `peer` unless a step can be so long.
  std::span<std::byte> receive(std::uint64_t size, std::string_view peer);
  /// Then checks what came, and gives segments() and hidden(). Kind::malformed naming `peer` and the field.
  void decode(std::string_view peer);

  std::span<const StepSegment> segments() const { return segments_; }
  std::int64_t rows() const { return rows_; }
  std::span<float> hidden();
  core::Bytes bytes() const { return std::span(bytes_).first(size_); }

 private:
  std::size_t size_of(std::size_t segments, std::int64_t rows) const;

  StepLimits limits_;
  std::vector<StepSegment> segments_;  // its capacity is limits_.sequences
  std::int64_t rows_ = 0;
  std::size_t size_ = 0;
  std::vector<std::byte> bytes_;
};

}  // namespace starling::partition

// The frame that starts a forward step: u64 position, u32 rows, u32 0, then rows x D floats.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "core/bytes.h"

namespace starling::partition {

inline constexpr std::size_t kStepHeaderBytes = 16;

struct Step {
  std::uint64_t position = 0;
  std::uint32_t rows = 0;
};

/// A step in the buffer that travels: the residual stream lies behind the header, so that nothing is copied.
class StepBuffer {
 public:
  StepBuffer(std::int64_t rows_max, std::int64_t width)
      : width_(width), bytes_(kStepHeaderBytes + static_cast<std::size_t>(rows_max * width) * sizeof(float)) {}

  std::size_t size(std::int64_t rows) const {
    return kStepHeaderBytes + static_cast<std::size_t>(rows * width_) * sizeof(float);
  }
  std::size_t capacity() const { return bytes_.size(); }
  std::span<std::byte> bytes(std::size_t size) { return std::span(bytes_).first(size); }
  std::span<float> hidden(std::int64_t rows) {
    return {reinterpret_cast<float*>(bytes_.data() + kStepHeaderBytes), static_cast<std::size_t>(rows * width_)};
  }
  void set(Step step) {
    const std::uint32_t zero = 0;
    std::memcpy(bytes_.data(), &step.position, 8);
    std::memcpy(bytes_.data() + 8, &step.rows, 4);
    std::memcpy(bytes_.data() + 12, &zero, 4);
  }
  Step step() const {
    Step step;
    std::memcpy(&step.position, bytes_.data(), 8);
    std::memcpy(&step.rows, bytes_.data() + 8, 4);
    return step;
  }

 private:
  std::int64_t width_;
  std::vector<std::byte> bytes_;
};

}  // namespace starling::partition

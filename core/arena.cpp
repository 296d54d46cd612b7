#include "core/arena.h"

#include <algorithm>
#include <cstdint>

namespace starling::core {

void* Arena::take(std::size_t bytes) {
  constexpr std::size_t kBlockMin = std::size_t{1} << 20;
  bytes = (bytes + kAlign - 1) / kAlign * kAlign;
  while (current_ < blocks_.size() && blocks_[current_].size - used_ < bytes) {
    ++current_;
    used_ = 0;
  }
  if (current_ == blocks_.size()) {
    const std::size_t size = std::max({bytes, kBlockMin, blocks_.empty() ? 0 : 2 * blocks_.back().size});
    blocks_.push_back({std::unique_ptr<std::byte, Free>(static_cast<std::byte*>(::operator new(size, std::align_val_t{kAlign}))), size});
    used_ = 0;
  }
  void* result = blocks_[current_].memory.get() + used_;
  used_ += bytes;
  return result;
}

std::size_t Arena::bytes() const {
  std::size_t sum = 0;
  for (const Block& block : blocks_) sum += block.size;
  return sum;
}

}  // namespace starling::core

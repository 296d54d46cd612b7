// A peer that sends the fuzz input and then closes.
#pragma once

#include <algorithm>
#include <cstring>

#include "comm/transports/pipe.h"

namespace starling::tests {

class InputPipe final : public comm::Pipe {
 public:
  /// Every second read finds nothing, the others at most `piece` bytes.
  InputPipe(core::Bytes input, std::size_t piece) : input_(input), piece_(piece) {}

  std::optional<std::size_t> write(core::Bytes head, core::Bytes body) override { return head.size() + body.size(); }

  std::optional<std::size_t> read(std::span<std::byte> into) override {
    if (input_.empty()) return std::nullopt;
    if ((calls_++ & 1) != 0) return 0;
    const std::size_t count = std::min({into.size(), input_.size(), piece_});
    if (count > 0) std::memcpy(into.data(), input_.data(), count);
    input_ = input_.subspan(count);
    return count;
  }

 private:
  core::Bytes input_;
  std::size_t piece_;
  unsigned calls_ = 0;
};

}  // namespace starling::tests

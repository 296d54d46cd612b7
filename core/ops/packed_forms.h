// Which type of a file has which packed form, and how one block gets there and back.
#pragma once

#include <cstdint>
#include <span>

#include "core/ops/packed_layout.h"
#include "core/types.h"

namespace starling::core {

struct PackedForm {
  Type stored, packed;
  PackedFormat format;
  /// Puts a block of the file's form into its lane of a group that is zero there.
  void (*pack)(const std::uint8_t* block, std::size_t lane, std::uint8_t* group);
  /// The values of that block, as dequantize() gives them.
  void (*unpack)(const std::uint8_t* group, std::size_t lane, float* values);
};

std::span<const PackedForm> packed_forms();

}  // namespace starling::core

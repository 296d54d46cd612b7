// Activations as 8-bit integers, quantised once for all matrices that they meet.
#pragma once

#include <cstddef>
#include <span>

#include "core/ops/packed_layout.h"

namespace starling::core {

/// Rows [tile * 6, ...) of x {rows, columns} as one tile: 32 values share max|x| / 127 as their scale, which is
/// kept with the eleven bits of binary16; codes are rounded to nearest even. A block with a value that is not finite has
/// scale NaN, so that its sums are NaN too.
void quantize_tile(std::span<const float> x, std::size_t rows, std::size_t columns, std::size_t tile, PackedActivations* out);

}  // namespace starling::core

// The largest value of every block of 2x2, F32: the pooling of nearly all small networks.
#pragma once

#include <cstdint>

namespace starling::core {

/// x {rows, 2, columns, 2} to y {rows, columns}; `which` is the largest one's number in its block, 0 to 3 row by row, the
/// first one's of equals. Images one after the other are one image with more rows. x carries Arena::kSlackFloats.
void max_pool_blocks(const float* x, std::int64_t rows, std::int64_t columns, float* y, float* which);

/// dx = the gradient of x: dy where the largest was, zeros elsewhere. dy and `which` carry Arena::kSlackFloats.
void max_pool_blocks_backward(const float* dy, const float* which, std::int64_t rows, std::int64_t columns, float* dx);

}  // namespace starling::core

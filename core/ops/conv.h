// Two-dimensional convolution (cross-correlation, as in every framework) and its gradients, F32, images as
// {batch, channels, height, width}. Every output is one chain of fused multiply-adds over (channel, kernel row,
// kernel column), every weight gradient one over (image, row, column), or over those of transformed tiles where the shape
// suits that (winograd.h): the same bits for any threads.
#pragma once

#include <cstdint>

#include "core/arena.h"
#include "core/pool.h"

namespace starling::core {

struct ConvShape {
  std::int64_t batch = 0, channels = 0, height = 0, width = 0;  // of the input
  std::int64_t outputs = 0;                                     // output channels
  std::int64_t kernel_height = 0, kernel_width = 0;
  std::int64_t stride = 1, pad = 0;

  std::int64_t out_height() const { return (height + 2 * pad - kernel_height) / stride + 1; }
  std::int64_t out_width() const { return (width + 2 * pad - kernel_width) / stride + 1; }
  std::int64_t padded_height() const { return height + 2 * pad; }
  std::int64_t padded_width() const { return width + 2 * pad; }
  std::int64_t taps() const { return channels * kernel_height * kernel_width; }
  std::int64_t positions() const { return out_height() * out_width(); }
};

/// Kind::usage naming `what` unless all sizes are positive, the kernel fits the padded input and the stride is at
/// least 1.
void validate(const ConvShape& shape, const char* what);

/// What conv_forward() and conv_backward_weights() take: x with a frame of zeros, or x itself where none is needed. x and
/// the result carry Arena::kSlackFloats.
const float* conv_pad(const ConvShape& shape, const float* x, Arena& arena, Pool& pool);

/// y {batch, outputs, out_height, out_width} = bias + w * padded, w {outputs, channels, kernel_height, kernel_width};
/// bias may be null.
void conv_forward(const ConvShape& shape, const float* padded, const float* w, const float* bias, float* y, Arena& arena, Pool& pool);

/// dx += the gradient of the input, or = without `add`.
void conv_backward_input(const ConvShape& shape, const float* dy, const float* w, float* dx, bool add, Arena& arena, Pool& pool);

/// dw += the gradient of the weights; dbias (may be null) += that of the bias.
void conv_backward_weights(const ConvShape& shape, const float* padded, const float* dy, float* dw, float* dbias, Arena& arena,
                           Pool& pool);

}  // namespace starling::core

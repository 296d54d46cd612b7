// Convolutions of 3x3 kernels and stride 1 with fewer multiplications: F(2x2, 3x3) of Lavin and Gray 2016 (after Winograd
// 1980). Tiles of 2x2 outputs, their 4x4 inputs and the kernels are transformed; sixteen matrix products between them,
// one for each point of the 4x4 plane, take 16 multiplications where 36 stood. The transforms only add and halve, so the
// result is as near to the true one as the direct sum (their errors differ, both some 1e-7 of the terms).
//
// Whether a convolution is computed this way depends on its shape alone, never on the batch; every value of a product is
// one chain over the channels (for weight gradients over the tiles of all images, in order), so that the bits depend
// neither on neighbours nor on threads nor on the length of vectors.
#pragma once

#include "core/ops/conv.h"

namespace starling::core {

bool winograd_suits(const ConvShape& shape);

/// As conv_forward(), from x without a frame; with `accumulate` y += that. `turned`: w is {channels, outputs, 3, 3} and each
/// kernel is rotated by half a turn, as the gradient of an input needs it.
void winograd_forward(const ConvShape& shape, const float* x, const float* w, bool turned, const float* bias, float* y, bool accumulate,
                      Arena& arena, Pool& pool);

/// As conv_backward_weights(), from x without a frame.
void winograd_backward_weights(const ConvShape& shape, const float* x, const float* dy, float* dw, float* dbias, Arena& arena, Pool& pool);

}  // namespace starling::core

// What normalisations compute over many values that share a mean and a variance. Sums are kept in double in sixteen
// lanes, value i of a run in lane i % 16, added by the tree of simd.h: the same bits on all targets with FMA.
#pragma once

#include <cstdint>

namespace starling::core {

/// `count` runs of `length` values that begin `stride` apart: one channel of a batch of images, or one row.
struct Runs {
  std::int64_t count, length, stride;
  double values() const { return static_cast<double>(count * length); }
};

struct Moments {
  double mean, variance;
};
/// Two passes: the second over differences from the mean.
Moments moments(const float* x, const Runs& runs);

/// y = x * slope + shift, one rounding.
void scale_and_shift(const float* x, const Runs& runs, float slope, float shift, float* y);
/// y = relu(x * slope + shift + shortcut); shortcut may be null.
void scale_shift_relu(const float* x, const float* shortcut, const Runs& runs, float slope, float shift, float* y);

/// The gradient of what was normalised: that of the result, or, where a relu followed, this where its result y is
/// positive and zero elsewhere. y may be null.
struct Arriving {
  const float *dy, *y;
};
struct GradientSums {
  double dy, product;  // of dy, and of dy * (x - mean)
};
GradientSums gradient_sums(const float* x, const Arriving& d, const Runs& runs, float mean);

/// dx += slope * dy - (shift + lean * (x - mean)); `fresh`: dx = that.
struct InputGradient {
  float mean, slope, shift, lean;
};
void input_gradient(const float* x, const Arriving& d, const Runs& runs, const InputGradient& g, bool fresh, float* dx);
/// to += dy; `fresh`: to = dy.
void pass_gradient(const Arriving& d, const Runs& runs, bool fresh, float* to);

/// The same for rows whose every value has its own gain: a row is (x - mean) * scale before gain and bias.
struct Row {
  std::int64_t size;
  float mean, scale;
};
/// y = (x - mean) * scale * gain + bias.
void normalise_row(const float* x, const Row& row, const float* gain, const float* bias, float* y);
/// Sums over a row of dy * gain, and of dy * gain * (x - mean).
GradientSums row_gradient_sums(const float* x, const float* dy, const Row& row, const float* gain);
/// dx += scale * dy * gain - (shift + lean * (x - mean)).
void row_input_gradient(const float* x, const float* dy, const Row& row, const float* gain, float shift, float lean, float* dx);
/// d_gain += dy * (x - mean) * scale, d_bias += dy.
void row_gain_gradient(const float* x, const float* dy, const Row& row, float* d_gain, float* d_bias);

}  // namespace starling::core

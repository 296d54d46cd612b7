// F32 operations value by value, and the few sums that training needs beside products.
#pragma once

#include <cstdint>
#include <span>

#include "core/pool.h"

namespace starling::core {

enum class Activation { relu, tanh, sigmoid, gelu, silu };  // gelu: x * Phi(x), with erf

/// y = f(x).
void activate(Activation f, std::span<const float> x, std::span<float> y, Pool& pool);
/// dx += dy * f'(x), or = without `add`, from x and y = f(x).
void activate_backward(Activation f, std::span<const float> x, std::span<const float> y, std::span<const float> dy, std::span<float> dx,
                       bool add, Pool& pool);

/// y = a + b; y may be one of them.
void add(std::span<const float> a, std::span<const float> b, std::span<float> y, Pool& pool);

/// y += x.
void add_to(std::span<const float> x, std::span<float> y);
/// y += a * x, one rounding.
void add_scaled(float a, std::span<const float> x, std::span<float> y);
/// y = a * x.
void scale(float a, std::span<const float> x, std::span<float> y);
/// sum of a[i] * b[i] over the sixteen lanes of simd.h.
float dot(std::span<const float> a, std::span<const float> b);
/// Sum over the sixteen lanes of simd.h.
float sum(std::span<const float> x);

/// Every row plus `bias`, in place.
void add_bias(std::span<const float> bias, std::int64_t rows, std::span<float> y);
/// total += the sum of the rows of x {rows, total.size()}, row by row.
void add_rows(std::span<const float> x, std::int64_t rows, std::span<float> total);

/// y = exp(x - largest) / sum for every row of length n; x and y may be the same.
void softmax(std::span<const float> x, std::int64_t n, std::span<float> y, Pool& pool);

}  // namespace starling::core

// Root mean square normalisation (Zhang and Sennrich 2019): y = x / sqrt(mean(x^2) + epsilon) * gain.
#pragma once

#include <cstdint>
#include <span>

#include "core/pool.h"

namespace starling::core {

/// x, y: {rows, gain.size()}; y may be x. A row depends on nothing but itself.
void rms_norm(std::span<const float> x, std::int64_t rows, std::span<const float> gain, float epsilon, std::span<float> y,
              Pool& pool);
/// dx += the gradient of x (not for an empty dx), d_gain += that of the gain, row by row.
void rms_norm_backward(std::span<const float> x, std::int64_t rows, std::span<const float> gain, float epsilon, std::span<const float> dy,
                       std::span<float> dx, std::span<float> d_gain, Pool& pool);

}  // namespace starling::core

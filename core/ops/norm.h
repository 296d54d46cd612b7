// Root mean square normalisation (Zhang and Sennrich 2019): y = x / sqrt(mean(x^2) + epsilon) * gain.
#pragma once

#include <cstdint>
#include <span>

#include "core/pool.h"

namespace starling::core {

/// x, y: {rows, gain.size()}; y may be x. A row depends on nothing but itself.
void rms_norm(std::span<const float> x, std::int64_t rows, std::span<const float> gain, float epsilon, std::span<float> y,
              Pool& pool);

}  // namespace starling::core

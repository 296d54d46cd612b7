// The gated activation of Llama's feed-forward part (Shazeer 2020): silu(gate) * up, silu(x) = x / (1 + exp(-x)).
#pragma once

#include <span>

#include "core/pool.h"

namespace starling::core {

/// gate[i] = silu(gate[i]) * up[i].
void swiglu(std::span<float> gate, std::span<const float> up, Pool& pool);

}  // namespace starling::core

// The gated activation of Llama's feed-forward part (Shazeer 2020): silu(gate) * up, silu(x) = x / (1 + exp(-x)).
#pragma once

#include <span>

#include "core/pool.h"

namespace starling::core {

/// gate[i] = silu(gate[i]) * up[i].
void swiglu(std::span<float> gate, std::span<const float> up, Pool& pool);
/// d_gate += dy * up * silu'(gate), d_up += dy * silu(gate), from the gate as it was before.
void swiglu_backward(std::span<const float> gate, std::span<const float> up, std::span<const float> dy, std::span<float> d_gate,
                     std::span<float> d_up, Pool& pool);

}  // namespace starling::core

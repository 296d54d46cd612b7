// The gated activation of Gemma's feed-forward part (Shazeer 2020): gelu(gate) * up, with the tanh form of GELU,
// gelu(x) = x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). And the cap that Gemma 2 puts on logits.
#pragma once

#include <span>

#include "core/pool.h"

namespace starling::core {

/// gate[i] = gelu(gate[i]) * up[i].
void geglu(std::span<float> gate, std::span<const float> up, Pool& pool);

/// x[i] = cap * tanh(x[i] / cap).
void soft_cap(float cap, std::span<float> x, Pool& pool);

}  // namespace starling::core

// Which experts of a mixture compute a row, and with what weight (Shazeer et al. 2017; Jiang et al. 2024): a softmax
// over all experts, of which the largest few are kept.
#pragma once

#include <cstdint>
#include <span>

#include "core/pool.h"

namespace starling::core {

struct Route {
  std::int32_t expert = 0;
  float weight = 0;
};

/// logits: {rows, experts}, softmax weights afterwards. routes: {rows, used}, the largest weights of every row, the lower
/// expert first where they are equal; `normalised`: divided by their sum.
void route(std::span<float> logits, std::int64_t rows, std::int64_t used, bool normalised, std::span<Route> routes, Pool& pool);

}  // namespace starling::core

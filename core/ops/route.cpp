#include "core/ops/route.h"

#include "core/error.h"
#include "core/ops/elementwise.h"

namespace starling::core {

void route(std::span<float> logits, std::int64_t rows, std::int64_t used, bool normalised, std::span<Route> routes, Pool& pool) {
  ensure(rows > 0 && logits.size() % static_cast<std::size_t>(rows) == 0 && static_cast<std::int64_t>(routes.size()) == rows * used,
         "sizes of a routing disagree");
  const std::size_t experts = logits.size() / static_cast<std::size_t>(rows), kept = static_cast<std::size_t>(used);
  ensure(kept <= experts, "more experts used than there are");
  softmax(logits, static_cast<std::int64_t>(experts), logits, pool);
  constexpr float kTaken = -1;  // below every weight
  for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row) {
    const auto weights = logits.subspan(row * experts, experts);
    const auto chosen = routes.subspan(row * kept, kept);
    float sum = 0;
    for (Route& route : chosen) {
      std::size_t best = 0;
      for (std::size_t e = 1; e < experts; ++e)
        if (weights[e] > weights[best]) best = e;
      route = {static_cast<std::int32_t>(best), weights[best]};
      sum += weights[best];
      weights[best] = kTaken;
    }
    if (normalised)
      for (Route& route : chosen) route.weight /= sum;
  }
}

}  // namespace starling::core

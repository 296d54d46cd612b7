#include "federated/guard.h"

#include <bit>
#include <cmath>

namespace starling::federated {
namespace {

/// Without a branch for each, so that it takes several at a time.
bool all_finite(std::span<const float> values) {
  constexpr std::uint32_t kExponent = 0x7f800000;
  std::uint32_t found = 0;
  for (const float v : values) found |= (std::bit_cast<std::uint32_t>(v) & kExponent) == kExponent ? 1u : 0u;
  return found == 0;
}

/// |a - b|^2.
double squared_distance(std::span<const float> a, std::span<const float> b) {
  // Several chains: the compiler may not reorder a sum, so we do.
  double sums[8] = {};
  const std::size_t whole = a.size() / 8 * 8;
  const auto square = [&](std::size_t i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    return d * d;
  };
  for (std::size_t i = 0; i < whole; i += 8)
    for (std::size_t k = 0; k < 8; ++k) sums[k] += square(i + k);
  for (std::size_t i = whole; i < a.size(); ++i) sums[0] += square(i);
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

}  // namespace

std::string guard(const TaskReply& reply, std::int64_t client, std::span<const float> start, const RoundsPolicy& policy) {
  if (reply.client != client) return "client";
  if (reply.model.size() != start.size()) return "shape";
  if (!(reply.examples > 0) || !std::isfinite(reply.examples) || (policy.examples_max > 0 && reply.examples > policy.examples_max)) return "weight";
  if (!all_finite(reply.model) || !all_finite(reply.control) || !std::isfinite(reply.loss)) return "nonfinite";
  if (policy.norm_max > 0 && squared_distance(reply.model, start) > policy.norm_max * policy.norm_max) return "norm";
  return "";
}

}  // namespace starling::federated

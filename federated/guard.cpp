#include "federated/guard.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace starling::federated {
namespace {

/// |a - b|^2, in several sums that do not wait for each other.
double squared_distance(std::span<const float> a, std::span<const float> b) {
  std::array<double, 4> sums{};
  const auto add = [&](std::size_t i, double& sum) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += d * d;
  };
  std::size_t i = 0;
  for (; i + sums.size() <= a.size(); i += sums.size())
    for (std::size_t k = 0; k < sums.size(); ++k) add(i + k, sums[k]);
  for (; i < a.size(); ++i) add(i, sums[0]);
  return sums[0] + sums[1] + (sums[2] + sums[3]);
}

}  // namespace

std::string guard(const TaskReply& reply, std::int64_t client, std::span<const float> start, const RoundsPolicy& policy) {
  if (reply.client != client) return "client";
  if (reply.model.size() != start.size()) return "shape";
  if (!(reply.examples > 0) || !std::isfinite(reply.examples) || (policy.examples_max > 0 && reply.examples > policy.examples_max)) return "weight";
  const double squares = squared_distance(reply.model, start);
  const bool control = std::all_of(reply.control.begin(), reply.control.end(), [](float v) { return std::isfinite(v); });
  if (!std::isfinite(squares) || !control || !std::isfinite(reply.loss)) return "nonfinite";
  if (policy.norm_max > 0 && squares > policy.norm_max * policy.norm_max) return "norm";
  return "";
}

}  // namespace starling::federated

#include "core/random_stream.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace starling::core {

std::uint64_t RandomStream::bits() {
  if (used_ == buffer_.size()) {
    buffer_ = random_bits(seed_, purpose_, place_, block_++);
    used_ = 0;
  }
  return buffer_[used_++];
}

std::uint64_t RandomStream::below(std::uint64_t count) {
  ensure(count > 0, "a random number below 0");
  const std::uint64_t bias = (0 - count) % count;  // so many of the smallest would come once too often
  for (;;) {
    const std::uint64_t b = bits();
    if (b >= bias) return b % count;
  }
}

double RandomStream::normal() {
  const double u = 1 - uniform(), v = uniform();
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

double RandomStream::log_gamma(double shape) {
  if (shape < 1) {
    const double u = 1 - uniform();
    return log_gamma(shape + 1) + std::log(u) / shape;
  }
  // Marsaglia and Tsang 2000.
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal(), root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root, u = 1 - uniform();
    if (std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return std::log(d) + std::log(v);
  }
}

std::vector<double> RandomStream::dirichlet(double alpha, std::size_t count) {
  std::vector<double> p(count);
  for (double& v : p) v = log_gamma(alpha);
  const double largest = *std::max_element(p.begin(), p.end());
  double sum = 0;
  for (double& v : p) sum += v = std::exp(v - largest);
  for (double& v : p) v /= sum;
  return p;
}

}  // namespace starling::core

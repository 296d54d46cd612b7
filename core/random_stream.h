// Numbers drawn one after the other from one place of the counted randomness (random.h): for shuffles and samples of
// fixed order. Another seed, purpose or place is another stream.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/random.h"

namespace starling::core {

class RandomStream {
 public:
  RandomStream(std::uint64_t seed, Purpose purpose, const RandomPlace& place) : seed_(seed), purpose_(purpose), place_(place) {}

  std::uint64_t bits();
  /// In [0, 1).
  double uniform() { return to_unit_interval(bits()); }
  /// In [0, count), without bias; count > 0.
  std::uint64_t below(std::uint64_t count);
  double normal();
  /// The logarithm of a Gamma(shape, 1) number: small shapes give numbers too small for a double.
  double log_gamma(double shape);
  /// Dirichlet over `count` parts, all of parameter alpha > 0.
  std::vector<double> dirichlet(double alpha, std::size_t count);

  /// Fisher and Yates.
  template <class T>
  void shuffle(std::span<T> values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

 private:
  std::uint64_t seed_;
  Purpose purpose_;
  RandomPlace place_;
  std::uint64_t block_ = 0;
  std::size_t used_ = 4;
  std::array<std::uint64_t, 4> buffer_{};
};

}  // namespace starling::core

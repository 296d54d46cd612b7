// Weighted sums of vectors that do not depend on the order of their terms (exactness rule 3): every product of value
// and weight is a whole number of a fixed unit, and whole numbers add exactly. Any arrival order, any number of threads
// and any tree of partial sums gives the same bits, in memory for one vector.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace starling::federated {

class ExactSum {
 public:
  /// Values are whole numbers of 2^-53 (floats of 2^-29 and more in size exactly), weights of 2^-24.
  static constexpr int kValueBits = 53, kWeightBits = 24;
  static constexpr double kValueMax = 65536, kWeightMax = 16777216;

  explicit ExactSum(std::size_t size) : sums_(size) {}

  void clear();
  /// Kind::malformed for another size, a value that is not finite or not below kValueMax, or a weight outside
  /// [0, kWeightMax); nothing is added then.
  void add(std::span<const float> values, double weight);
  /// What the other has added, too.
  void merge(const ExactSum& other);

  std::size_t size() const { return sums_.size(); }
  /// Sum of the weights, as rounded to whole units.
  double weight() const;
  /// The weighted mean of value i; the sum of weights must not be 0.
  double mean(std::size_t i) const;
  /// The weighted sum of value i.
  double sum(std::size_t i) const;

 private:
  __extension__ using Wide = __int128;
  std::vector<Wide> sums_;
  Wide weight_ = 0;
};

}  // namespace starling::federated

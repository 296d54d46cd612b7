// The embedding of a text: the mean of its rows, of length one. Rows are added one after the other in double, so that
// the pieces in which they come change no bit.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace starling::partition {

class MeanPooling {
 public:
  explicit MeanPooling(std::int64_t width) : sum_(static_cast<std::size_t>(width)) {}

  /// rows: {n, width}.
  void add(std::span<const float> rows) {
    for (std::size_t i = 0; i < rows.size(); ++i) sum_[i % sum_.size()] += static_cast<double>(rows[i]);
  }

  /// Zeros stay zeros. The number of rows cancels out.
  std::vector<float> result() const {
    double square = 0;
    for (const double v : sum_) square += v * v;
    std::vector<float> unit(sum_.size());
    if (square > 0)
      for (std::size_t i = 0; i < unit.size(); ++i) unit[i] = static_cast<float>(sum_[i] / std::sqrt(square));
    return unit;
  }

 private:
  std::vector<double> sum_;
};

}  // namespace starling::partition

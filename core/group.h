// The ranks that compute one model together, as model code sees them. A group of one is the identity,
// so that the same equation serves one process and many.
#pragma once

#include <span>

namespace starling::core {

using Rank = int;

/// How partial sums are added. exact: the same bits for any partition, algorithm and order (partial sums
/// lie on a fixed grid, see ops/grid.h); fast: plain F32 addition, which gives up that promise.
enum class Sum { exact, fast };

class Group {
 public:
  virtual ~Group() = default;
  virtual Rank rank() const = 0;
  virtual Rank size() const = 0;
  /// Adds the grid sums of all ranks and rounds each total once to F32. `parts` and `total` have the same
  /// length on every rank; `parts` is scratch afterwards.
  virtual void all_reduce(std::span<double> parts, std::span<float> total) = 0;
  /// Adds F32 sums in place; the result has the same bits on every rank.
  virtual void all_reduce(std::span<float> parts) = 0;
};

/// A group of one.
class Alone final : public Group {
 public:
  Rank rank() const override { return 0; }
  Rank size() const override { return 1; }
  void all_reduce(std::span<double> parts, std::span<float> total) override {
    for (std::size_t i = 0; i < parts.size(); ++i) total[i] = static_cast<float>(parts[i]);
  }
  void all_reduce(std::span<float>) override {}
};

}  // namespace starling::core

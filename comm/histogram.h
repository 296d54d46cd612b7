// Durations in bounded memory: 64 buckets per factor of two, so a quantile is off by less than 1.6 %.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstdint>

namespace starling::comm {

class Histogram {
 public:
  void add(std::chrono::nanoseconds duration) {
    const std::int64_t ns = duration.count();
    ++buckets_[index_of(ns > 0 ? static_cast<std::uint64_t>(ns) : 0)];
    ++count_;
  }
  void merge(const Histogram& other) {
    for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
  }

  std::uint64_t count() const { return count_; }
  /// Microseconds that a share `q` of the durations did not exceed; 0 without any.
  double quantile_us(double q) const {
    const auto wanted = static_cast<std::uint64_t>(q * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen > wanted || (seen == count_ && seen > 0)) return middle_ns(i) / 1e3;
    }
    return 0;
  }

 private:
  static constexpr unsigned kBits = 6;          // 2^kBits buckets per factor of two
  static constexpr unsigned kOctaves = 40 - 6;  // up to 2^40 ns, 18 minutes; longer ones count as that
  static constexpr std::size_t kBuckets = (std::size_t{kOctaves} + 1) << kBits;

  static std::size_t index_of(std::uint64_t ns) {
    const auto octave = static_cast<unsigned>(std::bit_width(ns >> kBits));
    if (octave == 0) return ns;
    if (octave > kOctaves) return kBuckets - 1;
    return (std::size_t{octave} << kBits) + ((ns >> (octave - 1)) & ((1u << kBits) - 1));
  }
  static double middle_ns(std::size_t index) {
    const std::size_t octave = index >> kBits;
    const auto low = static_cast<double>(index & ((1u << kBits) - 1));
    if (octave == 0) return low;
    return (low + (1u << kBits) + 0.5) * static_cast<double>(std::uint64_t{1} << (octave - 1));
  }

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
};

}  // namespace starling::comm

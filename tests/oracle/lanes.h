// The sums of the kernels in plain C++: sixteen lanes by std::fma, then the fixed tree (core/ops/simd.h).
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <span>

namespace starling::tests {

inline float lane_tree(const std::array<float, 16>& lane) {
  std::array<float, 4> f{};
  for (std::size_t l = 0; l < 4; ++l) f[l] = (lane[l] + lane[l + 8]) + (lane[l + 4] + lane[l + 12]);
  return (f[0] + f[2]) + (f[1] + f[3]);
}

inline float lane_dot(std::span<const float> a, std::span<const float> b) {
  std::array<float, 16> lane{};
  for (std::size_t i = 0; i < a.size(); ++i) lane[i % 16] = std::fma(a[i], b[i], lane[i % 16]);
  return lane_tree(lane);
}

/// The dot product in units, each rounded to multiples of 2^-30 by integer arithmetic, added as integers.
inline double grid_dot(std::span<const float> a, std::span<const float> b, std::size_t unit) {
  __int128 total = 0;
  for (std::size_t begin = 0; begin < a.size(); begin += unit) {
    const std::size_t length = std::min(unit, a.size() - begin);
    const double scaled = static_cast<double>(lane_dot(a.subspan(begin, length), b.subspan(begin, length))) * 0x1p30;
    total += static_cast<__int128>(std::nearbyint(scaled));  // ties to even, as the addition of C does
  }
  return static_cast<double>(total) * 0x1p-30;
}

}  // namespace starling::tests

// How the encoders of block types choose scales: the fits of the reference quantisers (ggml), which search a few
// scales per sub-block for the least weighted error. A lane is a sub-block and values lie transposed, value i of
// lane j at [i][j]: every lane sums in the order of its values, and the compiler makes vectors of the lanes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <string_view>

#include "core/error.h"
#include "core/quant/half.h"

namespace starling::core {

template <std::size_t kLength, std::size_t kLanes>
using LaneValues = float[kLength][kLanes];

/// Nearest whole number within [low, high], ties to even.
inline float nearest(float value, float low, float high) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: floats of that size are whole numbers
  return std::min(std::max(value, low), high) + kMagic - kMagic;
}

/// As nearest(), for storing.
inline unsigned code_of(float value, float low, float high) {
  return static_cast<unsigned>(static_cast<int>(nearest(value, low, high)));
}

/// Sub-blocks that span less have one value: their scale would be below the least binary16 anyway.
constexpr float kFlat = 1e-30f;

/// Kind::unsupported naming the first value that is NaN, or larger than any block holds with scales of binary16;
/// below that no sum of a fit overflows.
inline void check_finite(std::span<const float> values, std::string_view type) {
  constexpr float kLargest = 1e9f;
  for (const float value : values)
    check(std::abs(value) <= kLargest, Kind::unsupported, "{} cannot hold the value {}", type, value);
}

/// Writes `scale` as binary16. Kind::unsupported when it is too large.
inline void store_scale(float scale, std::byte* out, std::string_view type) {
  const std::uint16_t bits = f16_from_float(scale);
  check((bits & 0x7fffu) < 0x7c00u, Kind::unsupported, "{} cannot hold these values: their scale {} exceeds binary16", type,
        scale);
  std::memcpy(out, &bits, sizeof bits);
}

template <std::size_t kLength, std::size_t kLanes>
void to_lanes(const float* values, LaneValues<kLength, kLanes>& x) {
  for (std::size_t j = 0; j < kLanes; ++j)
    for (std::size_t i = 0; i < kLength; ++i) x[i][j] = values[j * kLength + i];
}

/// Codes 0..most with a minimum of at most 0: x = scale * code + minimum.
struct MinimumFit {
  float most, first;  // inverse scales (most + first + 0.1 s) / range are tried for s = 0..steps
  int steps;
  bool absolute;  // the error is |x - y|, else its square
};

/// What is tried for every lane: codes are nearest((x - origin) * inverse).
template <std::size_t kLength, std::size_t kLanes>
struct FitState {
  float origin[kLanes], inverse[kLanes];
  float scale[kLanes], minimum[kLanes], error[kLanes];
};

/// The weighted error of every lane.
template <std::size_t kLength, std::size_t kLanes>
void fit_errors(const LaneValues<kLength, kLanes>& x, const LaneValues<kLength, kLanes>& w, const MinimumFit& rule,
                FitState<kLength, kLanes>& s) {
  for (float& error : s.error) error = 0;
  for (std::size_t i = 0; i < kLength; ++i)
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float code = nearest(s.inverse[j] * (x[i][j] - s.origin[j]), 0, rule.most);
      const float difference = s.scale[j] * code + s.minimum[j] - x[i][j];
      s.error[j] += w[i][j] * (rule.absolute ? std::abs(difference) : difference * difference);
    }
}

/// The weighted regression of x on the codes of every lane: scale and minimum; the scale is 0 where there is none.
template <std::size_t kLength, std::size_t kLanes>
void regress(const LaneValues<kLength, kLanes>& x, const LaneValues<kLength, kLanes>& w, const MinimumFit& rule,
             FitState<kLength, kLanes>& s) {
  float sum_w[kLanes] = {}, sum_x[kLanes] = {}, sum_l[kLanes] = {}, sum_l2[kLanes] = {}, sum_xl[kLanes] = {};
  for (std::size_t i = 0; i < kLength; ++i)
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float code = nearest(s.inverse[j] * (x[i][j] - s.origin[j]), 0, rule.most), weight = w[i][j];
      sum_w[j] += weight;
      sum_x[j] += weight * x[i][j];
      sum_l[j] += weight * code;
      sum_l2[j] += weight * code * code;
      sum_xl[j] += weight * code * x[i][j];
    }
  for (std::size_t j = 0; j < kLanes; ++j) {
    const float determinant = sum_w[j] * sum_l2[j] - sum_l[j] * sum_l[j];
    const bool solvable = determinant > 0;
    const float divisor = solvable ? determinant : 1.0f, squares = sum_l2[j] > 0 ? sum_l2[j] : 1.0f;
    float scale = (sum_w[j] * sum_xl[j] - sum_x[j] * sum_l[j]) / divisor;
    float minimum = (sum_l2[j] * sum_x[j] - sum_l[j] * sum_xl[j]) / divisor;
    scale = minimum > 0 ? sum_xl[j] / squares : scale;
    s.minimum[j] = minimum > 0 ? 0.0f : minimum;
    s.scale[j] = solvable ? scale : 0.0f;
  }
}

/// Scale and minimum of every lane that give the least error with weights w.
template <std::size_t kLength, std::size_t kLanes>
void fit_minimum(const LaneValues<kLength, kLanes>& x, const LaneValues<kLength, kLanes>& w, const MinimumFit& rule,
                 float (&scale)[kLanes], float (&minimum)[kLanes]) {
  FitState<kLength, kLanes> s;
  float low[kLanes] = {}, high[kLanes], best[kLanes];
  for (std::size_t j = 0; j < kLanes; ++j) high[j] = x[0][j];
  for (std::size_t i = 0; i < kLength; ++i)
    for (std::size_t j = 0; j < kLanes; ++j) {
      low[j] = std::min(low[j], x[i][j]);
      high[j] = std::max(high[j], x[i][j]);
    }
  const auto try_inverse = [&](float steps) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float range = high[j] - low[j];
      s.inverse[j] = steps / (range > kFlat ? range : 1.0f);
      s.origin[j] = low[j];
    }
  };
  try_inverse(rule.most);
  for (std::size_t j = 0; j < kLanes; ++j) s.scale[j] = 1 / s.inverse[j], s.minimum[j] = low[j];
  fit_errors<kLength, kLanes>(x, w, rule, s);
  for (std::size_t j = 0; j < kLanes; ++j) {
    const bool flat = !(high[j] - low[j] > kFlat);
    best[j] = flat ? -1.0f : s.error[j];  // nothing improves on a flat one
    scale[j] = flat ? 0.0f : s.scale[j];
  }
  for (int step = 0; step <= rule.steps; ++step) {
    try_inverse(rule.first + 0.1f * static_cast<float>(step) + rule.most);
    regress<kLength, kLanes>(x, w, rule, s);
    fit_errors<kLength, kLanes>(x, w, rule, s);
    for (std::size_t j = 0; j < kLanes; ++j) {
      const bool better = s.scale[j] != 0 && s.error[j] < best[j];
      best[j] = better ? s.error[j] : best[j];
      scale[j] = better ? s.scale[j] : scale[j];
      low[j] = better ? s.minimum[j] : low[j];  // the next steps start from the better minimum, as the reference's do
    }
  }
  for (std::size_t j = 0; j < kLanes; ++j) minimum[j] = low[j];
}

/// The value of largest magnitude of every lane, with its sign; the first on ties.
template <std::size_t kLength, std::size_t kLanes>
void extremes(const LaneValues<kLength, kLanes>& x, float (&extreme)[kLanes]) {
  for (float& value : extreme) value = 0;
  for (std::size_t i = 0; i < kLength; ++i)
    for (std::size_t j = 0; j < kLanes; ++j)
      extreme[j] = std::abs(x[i][j]) > std::abs(extreme[j]) ? x[i][j] : extreme[j];
}

/// Sub-blocks whose largest magnitude is below this are zeros.
constexpr float kZero = 1e-15f;

}  // namespace starling::core

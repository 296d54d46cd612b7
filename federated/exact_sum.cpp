#include "federated/exact_sum.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/error.h"

namespace starling::federated {
namespace {

constexpr std::uint32_t kExponentMask = 0xff;
constexpr float kUnits = 0x1p53f;  // that 1 has: 2^kValueBits
constexpr float kWholeFrom = 0x1p-30f, kWholeBelow = 0x1p10f;

__extension__ using Wide = __int128;

/// Without its sign: ordered as the sizes are, and beyond all of them where the value is not finite.
inline std::int32_t size_bits(float value) { return std::bit_cast<std::int32_t>(value) & 0x7fffffff; }

/// value * 2^kValueBits * weight, rounded to the nearest whole number; a finite value below kValueMax.
inline Wide product(float value, std::int64_t weight) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto exponent = static_cast<int>(bits >> 23 & kExponentMask);
  const std::int64_t mantissa = static_cast<std::int64_t>(bits & 0x7fffff) | (exponent > 0 ? std::int64_t{1} << 23 : 0);
  const int shift = std::max(exponent, 1) - 150 + ExactSum::kValueBits;  // the mantissa counts units of 2^(exponent - 150)
  Wide size = static_cast<Wide>(mantissa) * weight;
  if (shift >= 0)
    size <<= shift;
  else if (shift > -100)
    size = (size + (static_cast<Wide>(1) << (-shift - 1))) >> -shift;
  else
    size = 0;
  return (bits >> 31) != 0 ? -size : size;
}

/// The same, at once where the value is a whole number of units that fits 64 bits, as nearly all are.
inline Wide quick_product(float value, std::int64_t weight) {
  constexpr auto kFrom = std::bit_cast<std::int32_t>(kWholeFrom), kBelow = std::bit_cast<std::int32_t>(kWholeBelow);
  const std::int32_t size = size_bits(value);
  if ((size >= kFrom && size < kBelow) || size == 0) [[likely]]
    return static_cast<Wide>(static_cast<std::int64_t>(value * kUnits)) * weight;
  return product(value, weight);
}

}  // namespace

void ExactSum::clear() {
  std::fill(sums_.begin(), sums_.end(), Wide{0});
  weight_ = 0;
}

void ExactSum::add(std::span<const float> values, double weight) {
  core::check(values.size() == sums_.size(), core::Kind::malformed, "an update of {} values, expected {}", values.size(), sums_.size());
  core::check(weight >= 0 && weight < kWeightMax, core::Kind::malformed, "an update of weight {}, expected 0 to {}", weight, kWeightMax);
  std::int32_t largest = 0;
  for (const float v : values) largest = std::max(largest, size_bits(v));
  if (largest >= size_bits(static_cast<float>(kValueMax))) {
    const auto bad = std::find_if(values.begin(), values.end(), [&](float v) { return size_bits(v) == largest; });
    core::fail(core::Kind::malformed, "value {} of an update is {}, expected less than {} in size", bad - values.begin(), *bad, kValueMax);
  }
  const auto units = static_cast<std::int64_t>(std::llround(std::ldexp(weight, kWeightBits)));
  for (std::size_t i = 0; i < values.size(); ++i) sums_[i] += quick_product(values[i], units);
  weight_ += units;
}

void ExactSum::merge(const ExactSum& other) {
  core::ensure(other.size() == size(), "sums of different sizes");
  for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
  weight_ += other.weight_;
}

double ExactSum::weight() const { return std::ldexp(static_cast<double>(weight_), -kWeightBits); }

double ExactSum::mean(std::size_t i) const {
  return std::ldexp(static_cast<double>(sums_[i]) / static_cast<double>(weight_), -kValueBits);
}

double ExactSum::sum(std::size_t i) const { return std::ldexp(static_cast<double>(sums_[i]), -kValueBits - kWeightBits); }

}  // namespace starling::federated

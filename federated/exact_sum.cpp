#include "federated/exact_sum.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/error.h"

namespace starling::federated {
namespace {

constexpr std::uint32_t kExponentMask = 0xff;

__extension__ using Wide = __int128;

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

}  // namespace

void ExactSum::clear() {
  std::fill(sums_.begin(), sums_.end(), Wide{0});
  weight_ = 0;
}

void ExactSum::add(std::span<const float> values, double weight) {
  core::check(values.size() == sums_.size(), core::Kind::malformed, "an update of {} values, expected {}", values.size(), sums_.size());
  core::check(weight >= 0 && weight < kWeightMax, core::Kind::malformed, "an update of weight {}, expected 0 to {}", weight, kWeightMax);
  for (std::size_t i = 0; i < values.size(); ++i)
    core::check(std::abs(values[i]) < static_cast<float>(kValueMax), core::Kind::malformed, "value {} of an update is {}, expected less than {} in size", i,
                values[i], kValueMax);
  const auto units = static_cast<std::int64_t>(std::llround(std::ldexp(weight, kWeightBits)));
  for (std::size_t i = 0; i < values.size(); ++i) sums_[i] += product(values[i], units);
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

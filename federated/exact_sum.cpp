#include "federated/exact_sum.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/error.h"

namespace starling::federated {
namespace {

constexpr std::uint32_t kExponentMask = 0xff;

__extension__ using Wide = __int128;

/// The mantissa counts units of 2^(exponent - 150).
constexpr int shift_of(int exponent) { return exponent - 150 + ExactSum::kValueBits; }

// Of values that are not tiny, part of the shift goes to the weight, so that one product of two 64-bit numbers is all of it:
// below kValueMax the mantissa's 24 bits and 39 more fit, and so do the weight's 48 and these.
constexpr int kLift = shift_of(127 + 15) - 39;
static_assert(kLift == 6 && ExactSum::kValueMax == 65536 && ExactSum::kWeightMax == 1 << 24);

/// Without a branch for each, so that it takes several at a time. False for what is not finite.
bool all_below_max(std::span<const float> values) {
  const auto limit = std::bit_cast<std::int32_t>(static_cast<float>(ExactSum::kValueMax));
  std::int32_t above = 0;
  for (const float v : values) above |= (std::bit_cast<std::int32_t>(v) & 0x7fffffff) >= limit ? 1 : 0;
  return above == 0;
}

/// value * 2^kValueBits * weight, rounded to the nearest whole number; a finite value below kValueMax.
inline Wide product(float value, std::int64_t weight) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto exponent = static_cast<int>(bits >> 23 & kExponentMask);
  const std::int64_t mantissa = static_cast<std::int64_t>(bits & 0x7fffff) | (exponent > 0 ? std::int64_t{1} << 23 : 0);
  const int shift = shift_of(std::max(exponent, 1));
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
  if (!all_below_max(values)) {
    const auto bad = std::find_if(values.begin(), values.end(), [](float v) { return !(std::abs(v) < static_cast<float>(kValueMax)); });
    core::fail(core::Kind::malformed, "value {} of an update is {}, expected less than {} in size", bad - values.begin(), *bad, kValueMax);
  }
  const auto units = static_cast<std::int64_t>(std::llround(std::ldexp(weight, kWeightBits)));
  const std::int64_t lifted_units = units << kLift;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(values[i]);
    const int shift = shift_of(static_cast<int>(bits >> 23 & kExponentMask));
    if (shift >= kLift) [[likely]] {
      const std::int64_t mantissa = (bits & 0x7fffff) | 0x800000, sign = -static_cast<std::int64_t>(bits >> 31);
      const std::int64_t lifted = ((mantissa ^ sign) - sign) << (shift - kLift);
      sums_[i] += static_cast<Wide>(lifted) * lifted_units;
    } else {
      sums_[i] += product(values[i], units);
    }
  }
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

#include "core/models/rope_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/models/llama.h"

namespace starling::core {
namespace {

using Rule = RopeScaling::Rule;

void check_scaling(const RopeScaling& s, std::int64_t pairs, const std::string& source) {
  check(s.factor > 0 && s.factor <= 1e6, Kind::malformed, "{}: the rotary scaling factor is {}", source, s.factor);
  check(s.attention_factor >= 0 && s.attention_factor <= 100, Kind::malformed, "{}: the rotary attention factor is {}", source, s.attention_factor);
  if (s.rule == Rule::none || s.rule == Rule::linear) return;
  check(s.original_context > 0, Kind::malformed, "{}: rotary scaling from an original context of {}", source, s.original_context);
  check(s.beta_slow > 0 && s.beta_fast > s.beta_slow && s.beta_fast <= 1e6, Kind::malformed, "{}: rotary scaling between betas {} and {}", source,
        s.beta_slow, s.beta_fast);
  if (s.rule != Rule::longrope) return;
  for (const auto* list : {&s.short_divisors, &s.long_divisors})
    check(static_cast<std::int64_t>(list->size()) == pairs, Kind::malformed, "{}: a list of {} rotary factors for {} pairs", source, list->size(), pairs);
}

/// longrope: sqrt(1 + ln s / ln original) for a context that is s times the original one (Ding et al. 2024).
double longrope_magnitude(const LlamaConfig& c) {
  const double stretch = static_cast<double>(c.context) / static_cast<double>(c.rope_scaling.original_context);
  return stretch <= 1 ? 1 : std::sqrt(1 + std::log(stretch) / std::log(static_cast<double>(c.rope_scaling.original_context)));
}

/// Rounded to F32, in which GGUF keeps it, so that a converted model is the same one.
double as_stored(double magnitude) { return static_cast<double>(static_cast<float>(magnitude)); }

}  // namespace

std::vector<double> llama3_divisors(std::int64_t dimensions, double rope_base, double factor, double low_factor,
                                    double high_factor, double original_context) {
  std::vector<double> divisors;
  for (std::int64_t pair = 0; pair < dimensions / 2; ++pair) {
    const double frequency = std::pow(rope_base, -2.0 * static_cast<double>(pair) / static_cast<double>(dimensions));
    const double wavelength = 2 * std::numbers::pi / frequency;
    double divisor = factor;
    if (wavelength < original_context / high_factor) {
      divisor = 1;
    } else if (wavelength <= original_context / low_factor) {
      const double share = (original_context / wavelength - low_factor) / (high_factor - low_factor);
      divisor = 1 / ((1 - share) / factor + share);
    }
    divisors.push_back(static_cast<double>(static_cast<float>(divisor)));
  }
  return divisors;
}

std::vector<double> yarn_divisors(std::int64_t dimensions, double rope_base, const RopeScaling& s) {
  const auto d = static_cast<double>(dimensions), original = static_cast<double>(s.original_context);
  // The pair that turns `rotations` times within the original context.
  const auto pair_of = [&](double rotations) { return d * std::log(original / (2 * std::numbers::pi * rotations)) / (2 * std::log(rope_base)); };
  double start = pair_of(s.beta_fast), end = pair_of(s.beta_slow);
  if (s.truncated) start = std::floor(start), end = std::ceil(end);
  start = std::max(0.0, start), end = std::min(d - 1, end);
  std::vector<double> divisors;
  for (std::int64_t pair = 0; pair < dimensions / 2; ++pair) {
    const double kept = 1 - std::clamp((static_cast<double>(pair) - start) / std::max(0.001, end - start), 0.0, 1.0);
    divisors.push_back(1 / ((1 - kept) / s.factor + kept));
  }
  return divisors;
}

void scale_rope(LlamaConfig& c, std::int64_t positions, const std::string& source) {
  const RopeScaling& s = c.rope_scaling;
  if (s.rule == Rule::none) return;
  const std::int64_t dimensions = c.rotated_dimensions(), pairs = dimensions / 2;
  check_scaling(s, pairs, source);
  const auto base = static_cast<double>(c.rope_base);
  check(base > 1, Kind::malformed, "{}: rotary scaling of the base {}", source, base);
  c.rope_magnitude = 1;
  switch (s.rule) {
    case Rule::none: return;
    case Rule::linear: c.rope_divisors.assign(static_cast<std::size_t>(pairs), s.factor); return;
    case Rule::yarn:
      c.rope_divisors = yarn_divisors(dimensions, base, s);
      c.rope_magnitude = as_stored(s.attention_factor > 0 ? s.attention_factor : s.factor > 1 ? 0.1 * std::log(s.factor) + 1 : 1);
      return;
    case Rule::longrope:
      c.rope_divisors = positions <= s.original_context ? s.short_divisors : s.long_divisors;
      c.rope_magnitude = as_stored(s.attention_factor > 0 ? s.attention_factor : longrope_magnitude(c));
  }
}

}  // namespace starling::core

// Draws of a sampler against the distribution they should have.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <vector>

#include "core/text/sampler.h"

namespace starling::tests {

using Distribution = std::map<core::TokenId, double>;

inline const std::vector<float> kSamplerLogits = {0.3f, 2.0f, -1.0f, 1.5f, 2.0f, 0.0f, -3.0f, 1.0f};

/// softmax(logits / temperature) over `kept`.
inline Distribution softmax(const std::vector<float>& logits, const std::vector<core::TokenId>& kept, double temperature) {
  Distribution d;
  double sum = 0;
  for (const core::TokenId id : kept) sum += d[id] = std::exp(logits[id] / temperature);
  for (auto& [id, p] : d) p /= sum;
  return d;
}

/// Pearson's statistic of `draws` draws against `expected`; a token outside of it fails at once.
inline double chi_square(const core::SamplerSettings& settings, const std::vector<float>& logits, const Distribution& expected, int draws,
                         const std::vector<core::TokenId>& recent = {}, std::size_t prompt = 0) {
  core::Sampler sampler(settings);
  std::map<core::TokenId, int> counts;
  for (int step = 0; step < draws; ++step) ++counts[sampler.sample(logits, recent, static_cast<std::uint64_t>(step), prompt)];
  double statistic = 0;
  for (const auto& [id, p] : expected) statistic += std::pow(counts[id] - p * draws, 2) / (p * draws);
  for (const auto& [id, count] : counts) REQUIRE(expected.contains(id));
  return statistic;
}

/// Values of the chi-square distribution exceeded with probability 0.01, by degrees of freedom.
inline constexpr double kCritical[] = {0, 6.635, 9.210, 11.345, 13.277, 15.086, 16.812, 18.475};

}  // namespace starling::tests

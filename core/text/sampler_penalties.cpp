// What changes logits before anything is dropped: the bias of the caller, and penalties for what has been said before.
#include <algorithm>
#include <limits>
#include <map>

#include "core/error.h"
#include "core/text/sampler.h"

namespace starling::core {
namespace {

/// An extreme change must not turn a token into a masked one, nor the largest logit into infinity.
void change(float& logit, double to) {
  constexpr double kMost = std::numeric_limits<float>::max();
  if (logit != -std::numeric_limits<float>::infinity()) logit = static_cast<float>(std::clamp(to, -kMost, kMost));
}

float& logit_of(Candidates& candidates, TokenId id, const char* what) {
  check(id >= 0 && static_cast<std::size_t>(id) < candidates.size(), Kind::usage, "sampler: {} token {} has no logit among {}", what, id, candidates.size());
  return candidates[static_cast<std::size_t>(id)].logit;
}

std::map<TokenId, int> counts_of(std::span<const TokenId> tokens) {
  std::map<TokenId, int> counts;
  for (const TokenId id : tokens) ++counts[id];
  return counts;
}

}  // namespace

void add_bias(Candidates& candidates, std::span<const std::pair<TokenId, float>> bias) {
  for (const auto& [id, value] : bias) {
    float& logit = logit_of(candidates, id, "biased");
    change(logit, static_cast<double>(logit) + value);
  }
}

void penalise_repetition(Candidates& candidates, std::span<const TokenId> recent, float penalty, int window) {
  if (penalty == 1) return;
  for (const auto& [id, count] : counts_of(recent.last(std::min(recent.size(), static_cast<std::size_t>(window))))) {
    float& logit = logit_of(candidates, id, "recent");
    change(logit, logit > 0 ? logit / penalty : logit * penalty);
  }
}

void penalise_generated(Candidates& candidates, std::span<const TokenId> generated, float presence, float frequency) {
  if (presence == 0 && frequency == 0) return;
  for (const auto& [id, count] : counts_of(generated)) {
    float& logit = logit_of(candidates, id, "recent");
    change(logit, static_cast<double>(logit) - static_cast<double>(frequency) * count - presence);
  }
}

void penalise_dry(Candidates& candidates, std::span<const TokenId> recent, const DrySettings& s, std::span<const TokenId> breakers) {
  if (s.multiplier <= 0 || recent.size() < 2) return;
  if (s.window > 0) recent = recent.last(std::min(recent.size(), static_cast<std::size_t>(s.window)));
  // Backwards, the end of the text is a prefix: the Z function gives for every place how long it repeats there.
  const std::size_t n = recent.size();
  const auto token = [&](std::size_t i) { return recent[n - 1 - i]; };
  std::size_t limit = 0;
  while (limit < n && std::find(breakers.begin(), breakers.end(), token(limit)) == breakers.end()) ++limit;
  std::vector<std::size_t> z(n, 0);
  std::map<TokenId, std::size_t> longest;
  for (std::size_t i = 1, left = 0, right = 0; i < n; ++i) {
    if (i < right) z[i] = std::min(right - i, z[i - left]);
    while (i + z[i] < n && token(z[i]) == token(i + z[i])) ++z[i];
    if (i + z[i] > right) {
      left = i;
      right = i + z[i];
    }
    const std::size_t length = std::min(z[i], limit);
    if (length >= static_cast<std::size_t>(s.allowed) && length > 0) longest[token(i - 1)] = std::max(longest[token(i - 1)], length);
  }
  for (const auto& [id, length] : longest) {
    double penalty = s.multiplier;
    for (std::size_t i = static_cast<std::size_t>(s.allowed); i < length && penalty < 1e30; ++i) penalty *= s.base;
    float& logit = logit_of(candidates, id, "recent");
    change(logit, logit - penalty);
  }
}

}  // namespace starling::core

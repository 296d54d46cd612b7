// The chain truncates untempered probabilities: top-k, top-p and min-p see the softmax of the penalised logits,
// the temperature acts only on what is left. All arithmetic is elementary operations in a fixed order, so that
// the same logits give the same token on every machine; that is why exp() is our own.
#include "core/text/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/random.h"

namespace starling::core {

namespace {

/// e^x for x <= 0 within 2 units in the last place: e^x = 2^k e^r with |r| <= ln 2 / 2 and the Taylor series of e^r.
/// The library's exp may round differently from one machine to the next.
double exponential(double x) {
  if (!(x > -745)) return 0;
  const double k = std::floor(x * 1.4426950408889634 + 0.5);
  const double r = (x - k * 0x1.62e42fefa38p-1) - k * 0x1.ef35793c7673p-45;  // ln 2 in two parts, k * the first exact
  double sum = 1;
  for (int n = 14; n >= 1; --n) sum = 1 + r * sum / n;
  return std::ldexp(sum, static_cast<int>(k));
}

/// Most likely first; the lower id wins ties, so that every order is total.
constexpr auto kBefore = [](const auto& a, const auto& b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; };

}  // namespace

void validate(const SamplerSettings& s) {
  check(std::isfinite(s.temperature), Kind::usage, "temperature {} is not a finite number", s.temperature);
  check(s.top_p >= 0 && s.top_p <= 1, Kind::usage, "top-p {} is not between 0 and 1", s.top_p);
  check(s.min_p >= 0 && s.min_p <= 1, Kind::usage, "min-p {} is not between 0 and 1", s.min_p);
  check(s.repeat_penalty > 0 && std::isfinite(s.repeat_penalty), Kind::usage, "repeat penalty {} is not a positive number", s.repeat_penalty);
  check(s.repeat_window >= 0, Kind::usage, "repeat window {} is negative", s.repeat_window);
}

Sampler::Sampler(const SamplerSettings& settings) : settings_(settings) { validate(settings); }

TokenId Sampler::sample(std::span<const float> logits, std::span<const TokenId> recent, std::uint64_t step) {
  check(!logits.empty(), Kind::malformed, "sampler: no logits");
  check(logits.size() <= static_cast<std::size_t>(std::numeric_limits<TokenId>::max()), Kind::malformed, "sampler: {} logits", logits.size());
  float largest = -std::numeric_limits<float>::infinity();
  for (std::size_t id = 0; id < logits.size(); ++id) {
    check(!std::isnan(logits[id]), Kind::malformed, "sampler: logit of token {} is not a number", id);
    largest = std::max(largest, logits[id]);
  }
  check(std::isfinite(largest), Kind::malformed, "sampler: the largest logit is {}", largest);
  const bool penalises = settings_.repeat_penalty != 1 && settings_.repeat_window > 0 && !recent.empty();
  if (settings_.temperature <= 0 && !penalises) return greedy(logits);
  fill(logits);
  if (penalises) penalise(recent);
  if (settings_.temperature <= 0) return std::min_element(candidates_.begin(), candidates_.end(), kBefore)->id;
  keep_top_k();
  largest = std::min_element(candidates_.begin(), candidates_.end(), kBefore)->logit;
  for (Candidate& c : candidates_) c.weight = exponential(static_cast<double>(c.logit) - largest);
  keep_top_p();
  keep_min_p();
  for (Candidate& c : candidates_) c.weight = exponential((static_cast<double>(c.logit) - largest) / settings_.temperature);
  return draw(step);
}

TokenId Sampler::greedy(std::span<const float> logits) const {
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

void Sampler::fill(std::span<const float> logits) {
  candidates_.resize(logits.size());
  for (std::size_t id = 0; id < logits.size(); ++id) candidates_[id] = {static_cast<TokenId>(id), logits[id], 0};
}

void Sampler::penalise(std::span<const TokenId> recent) {
  const std::size_t count = std::min(recent.size(), static_cast<std::size_t>(settings_.repeat_window));
  window_.assign(recent.end() - static_cast<std::ptrdiff_t>(count), recent.end());
  std::sort(window_.begin(), window_.end());
  window_.erase(std::unique(window_.begin(), window_.end()), window_.end());
  for (const TokenId id : window_) {
    check(id >= 0 && static_cast<std::size_t>(id) < candidates_.size(), Kind::usage, "sampler: recent token {} has no logit among {}", id,
          candidates_.size());
    float& logit = candidates_[id].logit;
    if (std::isinf(logit)) continue;  // masked
    const float penalised = logit > 0 ? logit / settings_.repeat_penalty : logit * settings_.repeat_penalty;
    // An extreme penalty must not turn a token into a masked one, nor the largest logit into infinity.
    constexpr float kMost = std::numeric_limits<float>::max();
    logit = std::clamp(penalised, -kMost, kMost);
  }
}

void Sampler::keep_top_k() {
  if (settings_.top_k <= 0 || static_cast<std::size_t>(settings_.top_k) >= candidates_.size()) return;
  std::nth_element(candidates_.begin(), candidates_.begin() + (settings_.top_k - 1), candidates_.end(), kBefore);
  candidates_.resize(settings_.top_k);
  // The selection leaves an order that depends on the library; sums and the draw need one that does not.
  std::sort(candidates_.begin(), candidates_.end(), kBefore);
}

void Sampler::keep_top_p() {
  if (settings_.top_p >= 1) return;
  double total = 0;
  for (const Candidate& c : candidates_) total += c.weight;
  // Popping the likeliest off a heap stops after few of them; sorting a whole vocabulary would not.
  constexpr auto kAfter = [](const Candidate& a, const Candidate& b) { return kBefore(b, a); };
  std::make_heap(candidates_.begin(), candidates_.end(), kAfter);
  double mass = 0;
  auto end = candidates_.end();
  do {
    std::pop_heap(candidates_.begin(), end, kAfter);
    mass += (--end)->weight;
  } while (end != candidates_.begin() && mass < settings_.top_p * total);
  candidates_.erase(candidates_.begin(), end);
  std::reverse(candidates_.begin(), candidates_.end());
}

void Sampler::keep_min_p() {
  if (settings_.min_p <= 0) return;
  // The largest weight is exp(0) = 1.
  std::erase_if(candidates_, [this](const Candidate& c) { return c.weight < settings_.min_p; });
}

TokenId Sampler::draw(std::uint64_t step) {
  double total = 0;
  for (const Candidate& c : candidates_) total += c.weight;
  const double target = to_unit_interval(random_bits(settings_.seed, Purpose::sampling, {.step = step})[0]) * total;
  double mass = 0;
  TokenId last = candidates_.front().id;
  for (const Candidate& c : candidates_) {
    if (c.weight == 0) continue;
    mass += c.weight;
    last = c.id;
    if (mass > target) break;
  }
  return last;
}

}  // namespace starling::core

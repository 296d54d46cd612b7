#include "core/text/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/random.h"

namespace starling::core {
namespace {

void between(float value, float least, float most, const char* name) {
  check(value >= least && value <= most, Kind::usage, "{} {} is not between {} and {}", name, value, least, most);
}

void positive(float value, const char* name) {
  check(value > 0 && std::isfinite(value), Kind::usage, "{} {} is not a positive number", name, value);
}

void not_negative(float value, const char* name) {
  check(value >= 0 && std::isfinite(value), Kind::usage, "{} {} is not a number of 0 or more", name, value);
}

}  // namespace

void validate(const SamplerSettings& s) {
  check(std::isfinite(s.temperature), Kind::usage, "temperature {} is not a finite number", s.temperature);
  between(s.top_p, 0, 1, "top-p");
  between(s.min_p, 0, 1, "min-p");
  positive(s.repeat_penalty, "repeat penalty");
  check(s.repeat_window >= 0, Kind::usage, "repeat window {} is negative", s.repeat_window);
  between(s.presence_penalty, -100, 100, "presence penalty");
  between(s.frequency_penalty, -100, 100, "frequency penalty");
  not_negative(s.top_n_sigma, "top-n-sigma");
  between(s.typical_p, 0, 1, "typical-p");
  between(s.xtc_probability, 0, 1, "XTC probability");
  between(s.xtc_threshold, 0, 1, "XTC threshold");
  not_negative(s.dynamic_range, "dynamic temperature range");
  positive(s.dynamic_exponent, "dynamic temperature exponent");
  positive(s.mirostat_tau, "mirostat tau");
  between(s.mirostat_eta, 0, 1, "mirostat eta");
  not_negative(s.dry.multiplier, "DRY multiplier");
  check(s.dry.base >= 1 && std::isfinite(s.dry.base), Kind::usage, "DRY base {} is not a number of 1 or more", s.dry.base);
  check(s.dry.allowed >= 0 && s.dry.window >= 0, Kind::usage, "DRY length {} or window {} is negative", s.dry.allowed, s.dry.window);
  for (const auto& [id, bias] : s.logit_bias) check(!std::isnan(bias) && bias < INFINITY, Kind::usage, "logit bias {} of token {} is not a finite number", bias, id);
}

Sampler::Sampler(const SamplerSettings& settings) : settings_(settings), mu_(2.0 * settings.mirostat_tau) { validate(settings); }

TokenId Sampler::sample(std::span<const float> logits, std::span<const TokenId> recent, std::uint64_t step, std::size_t prompt) {
  check(!logits.empty(), Kind::malformed, "sampler: no logits");
  check(logits.size() <= static_cast<std::size_t>(std::numeric_limits<TokenId>::max()), Kind::malformed, "sampler: {} logits", logits.size());
  float largest = -std::numeric_limits<float>::infinity();
  for (std::size_t id = 0; id < logits.size(); ++id) {
    check(!std::isnan(logits[id]), Kind::malformed, "sampler: logit of token {} is not a number", id);
    largest = std::max(largest, logits[id]);
  }
  check(std::isfinite(largest), Kind::malformed, "sampler: the largest logit is {}", largest);
  const bool changes = changes_logits(recent);
  if (settings_.temperature <= 0 && !changes) return greedy(logits);
  candidates_.resize(logits.size());
  for (std::size_t id = 0; id < logits.size(); ++id) candidates_[id] = {static_cast<TokenId>(id), logits[id], 0};
  if (changes) change_logits(recent, prompt);
  if (settings_.temperature <= 0) return std::min_element(candidates_.begin(), candidates_.end(), kLikelier)->id;
  const auto bits = random_bits(settings_.seed, Purpose::sampling, {.client = settings_.sequence, .step = step});
  if (settings_.mirostat) {
    apply_temperature(candidates_, settings_.temperature, 0, 1);
    return draw_mirostat(to_unit_interval(bits[0]));
  }
  truncate(to_unit_interval(bits[1]));
  apply_temperature(candidates_, settings_.temperature, settings_.dynamic_range, settings_.dynamic_exponent);
  return draw(to_unit_interval(bits[0]));
}

TokenId Sampler::greedy(std::span<const float> logits) const {
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

bool Sampler::changes_logits(std::span<const TokenId> recent) const {
  const SamplerSettings& s = settings_;
  const bool repeats = (s.repeat_penalty != 1 && s.repeat_window > 0) || s.presence_penalty != 0 || s.frequency_penalty != 0 || s.dry.multiplier > 0;
  return !s.logit_bias.empty() || (repeats && !recent.empty());
}

void Sampler::change_logits(std::span<const TokenId> recent, std::size_t prompt) {
  const SamplerSettings& s = settings_;
  add_bias(candidates_, s.logit_bias);
  penalise_repetition(candidates_, recent, s.repeat_penalty, s.repeat_window);
  penalise_generated(candidates_, recent.subspan(std::min(prompt, recent.size())), s.presence_penalty, s.frequency_penalty);
  penalise_dry(candidates_, recent, s.dry, s.dry_breakers);
}

void Sampler::truncate(double chance) {
  const SamplerSettings& s = settings_;
  if (s.top_n_sigma > 0) keep_top_n_sigma(candidates_, s.top_n_sigma);
  keep_top_k(candidates_, s.top_k);
  set_weights(candidates_);
  keep_typical(candidates_, s.typical_p);
  keep_top_p(candidates_, s.top_p);
  keep_min_p(candidates_, s.min_p);
  exclude_top(candidates_, s.xtc_probability, s.xtc_threshold, chance);
}

TokenId Sampler::draw(double chance) {
  double total = 0;
  for (const Candidate& c : candidates_) total += c.weight;
  const double target = chance * total;
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

TokenId Sampler::draw_mirostat(double chance) {
  constexpr double kLog2 = 0.69314718055994531;
  double total = 0;
  for (const Candidate& c : candidates_) total += c.weight;
  std::sort(candidates_.begin(), candidates_.end(), kLikelier);
  const auto surprise = [](double weight, double of) { return -logarithm(weight / of) / kLog2; };
  std::size_t kept = 1;
  while (kept < candidates_.size() && candidates_[kept].weight > 0 && surprise(candidates_[kept].weight, total) <= mu_) ++kept;
  candidates_.resize(kept);
  const TokenId id = draw(chance);
  double mass = 0, weight = 1;
  for (const Candidate& c : candidates_) {
    mass += c.weight;
    if (c.id == id) weight = c.weight;
  }
  mu_ -= settings_.mirostat_eta * (surprise(weight, mass) - settings_.mirostat_tau);
  return id;
}

}  // namespace starling::core

// Chooses the next token from logits. Chain: repetition penalty, top-k, top-p, min-p, temperature, draw.
// The draw is counted (Philox keyed by seed and step), so the same logits give the same token anywhere.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/text/vocabulary.h"

namespace starling::core {

struct SamplerSettings {
  float temperature = 0;     // <= 0: greedy, the lowest id wins ties
  int top_k = 0;             // <= 0: all
  float top_p = 1;           // keeps the shortest prefix with this mass, the crossing token included
  float min_p = 0;           // keeps p >= min_p * p_max
  float repeat_penalty = 1;  // logits of recent tokens: positive ones divided, negative ones multiplied
  int repeat_window = 64;    // how many of the last tokens count, prompt included
  std::uint64_t seed = 0;
};

/// Kind::usage when a value is outside its range (NaN included).
void validate(const SamplerSettings& settings);

class Sampler {
 public:
  explicit Sampler(const SamplerSettings& settings);
  /// `recent`: all tokens so far, oldest first. `step`: index of the draw. -infinity masks a token.
  /// Kind::malformed if `logits` is empty, holds a NaN or +infinity, or nothing but -infinity;
  /// Kind::usage if a token of the window has no logit.
  TokenId sample(std::span<const float> logits, std::span<const TokenId> recent, std::uint64_t step);

 private:
  struct Candidate {
    TokenId id;
    float logit;
    double weight;  // exp(logit - largest logit): the probability up to a common factor
  };
  TokenId greedy(std::span<const float> logits) const;
  void fill(std::span<const float> logits);
  void penalise(std::span<const TokenId> recent);
  void keep_top_k();
  void keep_top_p();
  void keep_min_p();
  TokenId draw(std::uint64_t step);

  SamplerSettings settings_;
  std::vector<Candidate> candidates_;  // reused: no allocation per token after the first
  std::vector<TokenId> window_;
};

}  // namespace starling::core

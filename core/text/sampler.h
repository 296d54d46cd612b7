// Chooses the next token from logits. The chain is that of llama.cpp: logit bias, penalties (repetition, then presence and
// frequency), DRY, top-n-sigma, top-k, typical-p, top-p, min-p, XTC, temperature, draw; mirostat replaces what truncates.
// The draw is counted (Philox keyed by seed, sequence and step), so the same logits give the same token anywhere.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/text/candidates.h"
#include "core/text/vocabulary.h"

namespace starling::core {

/// Penalty of tokens that would go on with a repetition ("don't repeat yourself", by p-e-w).
struct DrySettings {
  float multiplier = 0;     // 0: off; a repetition of length L costs multiplier * base^(L - allowed)
  float base = 1.75f;
  int allowed = 2;          // shorter repetitions cost nothing
  int window = 0;           // how many of the last tokens count; 0: all
};

struct SamplerSettings {
  float temperature = 0;     // <= 0: greedy, the lowest id wins ties
  int top_k = 0;             // <= 0: all
  float top_p = 1;           // keeps the shortest prefix with this mass, the crossing token included
  float min_p = 0;           // keeps p >= min_p * p_max
  float repeat_penalty = 1;  // logits of recent tokens: positive ones divided, negative ones multiplied
  int repeat_window = 64;    // how many of the last tokens count, prompt included
  std::uint64_t seed = 0;
  std::uint64_t sequence = 0;   // sequences of one seed draw apart
  float presence_penalty = 0;   // taken from logits of tokens that were generated
  float frequency_penalty = 0;  // taken from them once per occurrence
  float top_n_sigma = 0;        // > 0: keeps logits >= max - n standard deviations
  float typical_p = 1;          // < 1: keeps the tokens whose surprise is nearest to the entropy, of this mass
  float xtc_probability = 0;    // how often all but the least of the likely tokens are dropped
  float xtc_threshold = 0.1f;   // from which probability on a token is likely
  float dynamic_range = 0;      // > 0: temperature +- range, by the entropy
  float dynamic_exponent = 1;
  bool mirostat = false;        // version 2 (Basu et al., 2021): keeps the surprise near tau
  float mirostat_tau = 5, mirostat_eta = 0.1f;
  DrySettings dry{};
  std::vector<TokenId> dry_breakers{};  // no repetition goes across these
  std::vector<std::pair<TokenId, float>> logit_bias{};
};

/// Kind::usage when a value is outside its range (NaN included).
void validate(const SamplerSettings& settings);

class Sampler {
 public:
  explicit Sampler(const SamplerSettings& settings);
  /// `recent`: all tokens so far, oldest first, of which the first `prompt` were not generated. `step`: index of the draw.
  /// -infinity masks a token. With mirostat the steps of one sequence must come in order, otherwise nothing is kept.
  /// Kind::malformed if `logits` is empty, holds a NaN or +infinity, or nothing but -infinity;
  /// Kind::usage if a token of the window or of the bias has no logit.
  TokenId sample(std::span<const float> logits, std::span<const TokenId> recent, std::uint64_t step, std::size_t prompt = 0);

 private:
  TokenId greedy(std::span<const float> logits) const;
  bool changes_logits(std::span<const TokenId> recent) const;
  void change_logits(std::span<const TokenId> recent, std::size_t prompt);
  void truncate(double chance);
  TokenId draw(double chance);
  TokenId draw_mirostat(double chance);

  SamplerSettings settings_;
  Candidates candidates_;  // reused: no allocation per token after the first
  double mu_;              // mirostat: the surprise allowed next
};

}  // namespace starling::core

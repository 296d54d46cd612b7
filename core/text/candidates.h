// The steps of the sampler's chain, each a function on the tokens still in question. All arithmetic is elementary
// operations in a fixed order, so that the same logits give the same token on every machine; that is why exp() and log()
// are our own: the library's may round differently from one machine to the next.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "core/text/vocabulary.h"

namespace starling::core {

struct DrySettings;

struct Candidate {
  TokenId id;
  float logit;
  double weight;  // exp(logit - largest logit): the probability up to a common factor
};
using Candidates = std::vector<Candidate>;

/// e^x for x <= 0.
double exponential(double x);
/// ln x for x > 0.
double logarithm(double x);

// Before truncation: the index of a candidate is its token's id, masked tokens stay masked.
void add_bias(Candidates& candidates, std::span<const std::pair<TokenId, float>> bias);
void penalise_repetition(Candidates& candidates, std::span<const TokenId> recent, float penalty, int window);
void penalise_generated(Candidates& candidates, std::span<const TokenId> generated, float presence, float frequency);
void penalise_dry(Candidates& candidates, std::span<const TokenId> recent, const DrySettings& settings, std::span<const TokenId> breakers);

// Truncation: at least one candidate stays. The weights must be set for all but the first two.
void keep_top_n_sigma(Candidates& candidates, float n);
void keep_top_k(Candidates& candidates, int k);
void set_weights(Candidates& candidates);
void keep_typical(Candidates& candidates, float p);
void keep_top_p(Candidates& candidates, float p);
void keep_min_p(Candidates& candidates, float p);
/// `chance` in [0, 1): the step acts when it is below `probability`.
void exclude_top(Candidates& candidates, float probability, float threshold, double chance);
/// Sets the weights anew, at `temperature` or, with `range` > 0, at one that the entropy chooses.
void apply_temperature(Candidates& candidates, float temperature, float range, float exponent);

/// Most likely first; the lower id wins ties, so that every order is total.
constexpr auto kLikelier = [](const Candidate& a, const Candidate& b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; };

}  // namespace starling::core

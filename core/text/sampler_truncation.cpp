// What drops tokens, and the temperature. Truncation sees the untempered probabilities.
#include <algorithm>
#include <cmath>

#include "core/text/candidates.h"

namespace starling::core {
namespace {

double total_of(const Candidates& candidates) {
  double total = 0;
  for (const Candidate& c : candidates) total += c.weight;
  return total;
}

/// -sum of p ln p.
double entropy_of(const Candidates& candidates, double total) {
  double sum = 0;
  for (const Candidate& c : candidates)
    if (c.weight > 0) sum -= c.weight * logarithm(c.weight / total);
  return sum / total;
}

}  // namespace

/// Within 2 units in the last place: e^x = 2^k e^r with |r| <= ln 2 / 2 and the Taylor series of e^r.
double exponential(double x) {
  if (!(x > -745)) return 0;
  const double k = std::floor(x * 1.4426950408889634 + 0.5);
  const double r = (x - k * 0x1.62e42fefa38p-1) - k * 0x1.ef35793c7673p-45;  // ln 2 in two parts, k * the first exact
  double sum = 1;
  for (int n = 14; n >= 1; --n) sum = 1 + r * sum / n;
  return std::ldexp(sum, static_cast<int>(k));
}

/// x = 2^k m with m in [sqrt(1/2), sqrt(2)), ln m = 2 atanh((m - 1) / (m + 1)) by its series.
double logarithm(double x) {
  int k = 0;
  double m = std::frexp(x, &k);
  if (m < 0.70710678118654752) {
    m *= 2;
    --k;
  }
  const double t = (m - 1) / (m + 1), square = t * t;
  double sum = 0;
  for (int n = 21; n >= 1; n -= 2) sum = sum * square + 1.0 / n;
  return k * 0.69314718055994531 + 2 * t * sum;
}

void keep_top_n_sigma(Candidates& candidates, float n) {
  double sum = 0, count = 0, squares = 0;
  float largest = -INFINITY;
  for (const Candidate& c : candidates) {
    if (std::isinf(c.logit)) continue;
    sum += c.logit;
    ++count;
    largest = std::max(largest, c.logit);
  }
  const double mean = sum / count;
  for (const Candidate& c : candidates)
    if (!std::isinf(c.logit)) squares += (c.logit - mean) * (c.logit - mean);
  const double least = largest - n * std::sqrt(squares / count);
  std::erase_if(candidates, [&](const Candidate& c) { return c.logit < least; });
}

void keep_top_k(Candidates& candidates, int k) {
  if (k <= 0 || static_cast<std::size_t>(k) >= candidates.size()) return;
  std::nth_element(candidates.begin(), candidates.begin() + (k - 1), candidates.end(), kLikelier);
  candidates.resize(static_cast<std::size_t>(k));
  // The selection leaves an order that depends on the library; sums and the draw need one that does not.
  std::sort(candidates.begin(), candidates.end(), kLikelier);
}

void set_weights(Candidates& candidates) {
  const double largest = std::min_element(candidates.begin(), candidates.end(), kLikelier)->logit;
  for (Candidate& c : candidates) c.weight = exponential(static_cast<double>(c.logit) - largest);
}

void keep_typical(Candidates& candidates, float p) {
  if (p >= 1) return;
  const double total = total_of(candidates), entropy = entropy_of(candidates, total);
  std::erase_if(candidates, [](const Candidate& c) { return c.weight == 0; });
  std::vector<std::pair<double, Candidate>> order;
  for (const Candidate& c : candidates) order.emplace_back(std::abs(-logarithm(c.weight / total) - entropy), c);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first != b.first ? a.first < b.first : kLikelier(a.second, b.second); });
  double mass = 0;
  std::size_t kept = 0;
  while (kept < order.size() && mass <= p * total) mass += order[kept++].second.weight;
  candidates.clear();
  for (std::size_t i = 0; i < kept; ++i) candidates.push_back(order[i].second);
}

void keep_top_p(Candidates& candidates, float p) {
  if (p >= 1) return;
  const double total = total_of(candidates);
  // Popping the likeliest off a heap stops after few of them; sorting a whole vocabulary would not.
  constexpr auto kAfter = [](const Candidate& a, const Candidate& b) { return kLikelier(b, a); };
  std::make_heap(candidates.begin(), candidates.end(), kAfter);
  double mass = 0;
  auto end = candidates.end();
  do {
    std::pop_heap(candidates.begin(), end, kAfter);
    mass += (--end)->weight;
  } while (end != candidates.begin() && mass < p * total);
  candidates.erase(candidates.begin(), end);
  std::reverse(candidates.begin(), candidates.end());
}

void keep_min_p(Candidates& candidates, float p) {
  if (p <= 0) return;
  double largest = 0;
  for (const Candidate& c : candidates) largest = std::max(largest, c.weight);
  std::erase_if(candidates, [&](const Candidate& c) { return c.weight < p * largest; });
}

void exclude_top(Candidates& candidates, float probability, float threshold, double chance) {
  if (probability <= 0 || threshold > 0.5F || chance >= probability) return;
  const double least = threshold * total_of(candidates);
  const Candidate* last = nullptr;  // the least likely of the likely ones
  for (const Candidate& c : candidates)
    if (c.weight >= least && (!last || kLikelier(*last, c))) last = &c;
  if (!last) return;
  const TokenId kept = last->id;
  std::erase_if(candidates, [&](const Candidate& c) { return c.weight >= least && c.id != kept; });
}

void apply_temperature(Candidates& candidates, float temperature, float range, float exponent) {
  double t = temperature;
  if (range > 0 && candidates.size() > 1) {
    set_weights(candidates);
    const double low = std::max(0.0, static_cast<double>(temperature) - range), high = static_cast<double>(temperature) + range;
    const double share = std::clamp(entropy_of(candidates, total_of(candidates)) / logarithm(static_cast<double>(candidates.size())), 0.0, 1.0);
    t = low + (high - low) * (share > 0 ? exponential(exponent * logarithm(share)) : 0.0);
  }
  const double largest = std::min_element(candidates.begin(), candidates.end(), kLikelier)->logit;
  for (Candidate& c : candidates) {
    const double distance = static_cast<double>(c.logit) - largest;
    c.weight = distance == 0 ? 1 : t > 0 ? exponential(distance / t) : 0;
  }
}

}  // namespace starling::core

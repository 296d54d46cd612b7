// The later members of the sampler's chain: each against its closed form, worked out here with the library's functions.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/text/sampler.h"
#include "tests/core/draws.h"

using namespace starling;
using core::Sampler;
using core::SamplerSettings;
using core::TokenId;
using tests::Distribution;

namespace {

constexpr int kDraws = 1'000'000;
const std::vector<float>& kLogits = tests::kSamplerLogits;
const std::vector<TokenId> kAll = {0, 1, 2, 3, 4, 5, 6, 7};

void check_draws(const SamplerSettings& settings, const Distribution& expected, const std::vector<TokenId>& recent = {}, std::size_t prompt = 0) {
  CHECK(tests::chi_square(settings, kLogits, expected, kDraws, recent, prompt) < tests::kCritical[expected.size() - 1]);
}

core::DrySettings dry(float multiplier, float base = 1.75F, int allowed = 2) {
  core::DrySettings settings;
  settings.multiplier = multiplier;
  settings.base = base;
  settings.allowed = allowed;
  return settings;
}

double entropy(const Distribution& d) {
  double sum = 0;
  for (const auto& [id, p] : d) sum -= p * std::log(p);
  return sum;
}

/// The penalties of DRY by comparing every earlier place token by token.
std::map<TokenId, double> naive_dry(const std::vector<TokenId>& recent, const core::DrySettings& s, const std::vector<TokenId>& breakers) {
  std::map<TokenId, double> penalties;
  for (std::size_t end = 1; end < recent.size(); ++end) {
    std::size_t length = 0;
    while (length < end && recent[end - 1 - length] == recent[recent.size() - 1 - length] &&
           std::find(breakers.begin(), breakers.end(), recent[end - 1 - length]) == breakers.end())
      ++length;
    if (length < static_cast<std::size_t>(s.allowed) || length == 0) continue;
    double& penalty = penalties[recent[end]];
    penalty = std::max(penalty, s.multiplier * std::pow(static_cast<double>(s.base), static_cast<double>(length) - s.allowed));
  }
  return penalties;
}

}  // namespace

TEST_CASE("top-n-sigma, typical-p and XTC keep what their definitions say") {
  // mean 0.35, standard deviation 1.595: 2 - 1.595 = 0.405
  check_draws({.temperature = 1, .seed = 1, .top_n_sigma = 1}, tests::softmax(kLogits, {1, 3, 4, 7}, 1));
  check_draws({.temperature = 2, .seed = 2, .top_n_sigma = 0.5F}, tests::softmax(kLogits, {1, 3, 4}, 2));
  // Surprises: 1 and 4 1.17, 3 1.67, 7 2.17, 0 2.87, 5 3.17, 2 4.17, 6 6.17; entropy 1.66.
  const Distribution whole = tests::softmax(kLogits, kAll, 1);
  CHECK(entropy(whole) == doctest::Approx(1.66).epsilon(0.01));
  check_draws({.temperature = 1, .seed = 3, .typical_p = 0.6F}, tests::softmax(kLogits, {1, 3, 4}, 1));
  check_draws({.temperature = 0.7F, .seed = 4, .typical_p = 0.85F}, tests::softmax(kLogits, {1, 3, 4, 7}, 0.7));
  check_draws({.temperature = 1, .seed = 5, .xtc_probability = 1, .xtc_threshold = 0.1F}, tests::softmax(kLogits, {0, 2, 5, 6, 7}, 1));
  check_draws({.temperature = 1, .seed = 6, .xtc_probability = 1, .xtc_threshold = 0.25F}, tests::softmax(kLogits, {0, 2, 3, 4, 5, 6, 7}, 1));
  Distribution mixed = whole;
  for (auto& [id, p] : mixed) p *= 0.5;
  for (const auto& [id, p] : tests::softmax(kLogits, {0, 2, 5, 6, 7}, 1)) mixed[id] += 0.5 * p;
  check_draws({.temperature = 1, .seed = 7, .xtc_probability = 0.5F, .xtc_threshold = 0.1F}, mixed);
  check_draws({.temperature = 1, .seed = 8, .xtc_probability = 1, .xtc_threshold = 0.4F}, whole);
}

TEST_CASE("the chain has llama.cpp's order: what comes later sees what earlier steps left") {
  // top-k leaves 1, 4, 3; of these typical-p keeps the one nearest to their entropy (1.08 against 0.95 and 1.45).
  const Distribution left = tests::softmax(kLogits, {1, 3, 4}, 1);
  CHECK(std::abs(-std::log(left.at(1)) - entropy(left)) < std::abs(-std::log(left.at(3)) - entropy(left)));
  check_draws({.temperature = 1, .top_k = 3, .seed = 9, .typical_p = 0.5F}, tests::softmax(kLogits, {1, 4}, 1));
  // Untempered, 3 is below 0.7 of the most likely one; the temperature comes behind that.
  check_draws({.temperature = 5, .min_p = 0.7F, .seed = 10}, tests::softmax(kLogits, {1, 4}, 5));
}

TEST_CASE("bias, presence and frequency penalties, which count what was generated") {
  std::vector<float> changed = kLogits;
  changed[6] += 4;
  changed[1] -= 1;
  check_draws({.temperature = 1, .seed = 11, .logit_bias = {{6, 4.0F}, {1, -1.0F}}}, tests::softmax(changed, kAll, 1));
  changed = kLogits;
  changed[1] -= 0.5F + 2 * 0.25F;
  changed[3] -= 0.5F + 0.25F;
  check_draws({.temperature = 1, .seed = 12, .presence_penalty = 0.5F, .frequency_penalty = 0.25F}, tests::softmax(changed, kAll, 1), {1, 1, 7, 1, 3, 1}, 3);
  CHECK(Sampler({.logit_bias = {{6, 100.0F}}}).sample(kLogits, {}, 0) == 6);
  CHECK(Sampler({.presence_penalty = 1}).sample(kLogits, std::vector<TokenId>{1}, 0) == 4);
  CHECK(Sampler({.presence_penalty = 1}).sample(kLogits, std::vector<TokenId>{1}, 0, 1) == 1);
  CHECK_THROWS_AS(Sampler({.logit_bias = {{8, 1.0F}}}).sample(kLogits, {}, 0), core::Error);
}

TEST_CASE("DRY takes from the tokens that would repeat, as the naive comparison says") {
  std::vector<float> changed = kLogits;
  changed[3] -= 0.8F * 1.75F;  // 5 1 2 was followed by 3: three tokens, two allowed
  check_draws({.temperature = 1, .seed = 13, .dry = dry(0.8F)}, tests::softmax(changed, kAll, 1), {5, 1, 2, 3, 5, 1, 2});
  const core::DrySettings settings = dry(0.5F, 1.5F);
  const std::vector<TokenId> breakers = {7};
  std::uint64_t state = 1;
  for (int i = 0; i < 300; ++i) {
    std::vector<TokenId> recent;
    for (int n = 0; n < 30; ++n) recent.push_back(static_cast<TokenId>((state = state * 6364136223846793005u + 1442695040888963407u) >> 62 | (n % 11 == 0 ? 7 : 0)));
    core::Candidates candidates;
    for (std::size_t id = 0; id < kLogits.size(); ++id) candidates.push_back({static_cast<TokenId>(id), kLogits[id], 0});
    core::penalise_dry(candidates, recent, settings, breakers);
    std::vector<double> expected(kLogits.begin(), kLogits.end());
    for (const auto& [id, penalty] : naive_dry(recent, settings, breakers)) expected[static_cast<std::size_t>(id)] -= penalty;
    for (std::size_t id = 0; id < expected.size(); ++id) REQUIRE(candidates[id].logit == doctest::Approx(expected[id]).epsilon(1e-5));
  }
}

TEST_CASE("the dynamic temperature follows the entropy") {
  const double share = entropy(tests::softmax(kLogits, kAll, 1)) / std::log(8.0);
  check_draws({.temperature = 1, .seed = 14, .dynamic_range = 0.5F}, tests::softmax(kLogits, kAll, 0.5 + share));
  check_draws({.temperature = 0.5F, .seed = 15, .dynamic_range = 1, .dynamic_exponent = 2}, tests::softmax(kLogits, kAll, 1.5 * share * share));
}

TEST_CASE("mirostat draws from what its bound allows and keeps the surprise near tau") {
  const SamplerSettings settings{.temperature = 1, .seed = 16, .mirostat = true, .mirostat_tau = 1.25F, .mirostat_eta = 0.125F};
  const Distribution whole = tests::softmax(kLogits, kAll, 1);
  Sampler sampler(settings);
  double mu = 2.5, sum = 0;
  constexpr int kSteps = 20'000;
  for (int step = 0; step < kSteps; ++step) {
    std::vector<TokenId> allowed;
    for (const auto& [id, p] : whole)
      if (-std::log2(p) <= mu) allowed.push_back(id);
    if (allowed.empty()) allowed = {1};
    const TokenId id = sampler.sample(kLogits, {}, static_cast<std::uint64_t>(step));
    REQUIRE(std::count(allowed.begin(), allowed.end(), id) == 1);
    const double surprise = -std::log2(tests::softmax(kLogits, allowed, 1).at(id));
    sum += surprise;
    mu -= 0.125 * (surprise - 1.25);
  }
  CHECK(sum / kSteps == doctest::Approx(1.25).epsilon(0.01));
}

TEST_CASE("our exponential and logarithm are the library's to the last places") {
  for (double x = -700; x <= 0; x += 0.37) CHECK(std::abs(core::exponential(x) / std::exp(x) - 1) < 1e-15);
  for (double x = 1e-300; x < 1e300; x *= 3.7) CHECK(std::abs(core::logarithm(x) - std::log(x)) <= 4e-16 * std::max(1.0, std::abs(std::log(x))));
}

TEST_CASE("sequences of one seed draw apart, and masked tokens stay masked through the whole chain") {
  SamplerSettings settings{.temperature = 1, .seed = 17};
  Sampler first(settings);
  settings.sequence = 1;
  Sampler second(settings);
  int equal = 0;
  for (std::uint64_t step = 0; step < 1000; ++step) equal += first.sample(kLogits, {}, step) == second.sample(kLogits, {}, step);
  CHECK(equal < 400);
  std::vector<float> masked = kLogits;
  masked[1] = masked[4] = masked[2] = -INFINITY;
  Sampler chain({.temperature = 1, .top_k = 7, .top_p = 0.99F, .min_p = 0.001F, .repeat_penalty = 1.1F, .seed = 18, .presence_penalty = 0.2F, .frequency_penalty = 0.1F,
                 .top_n_sigma = 3, .typical_p = 0.99F, .xtc_probability = 0.5F, .dynamic_range = 0.2F, .dry = dry(1), .logit_bias = {{1, 50.0F}}});
  const std::vector<TokenId> recent = {1, 3, 1, 3, 1, 3};
  for (std::uint64_t step = 0; step < 2000; ++step) {
    const TokenId id = chain.sample(masked, recent, step);
    CHECK((id != 1 && id != 4 && id != 2));
  }
}

TEST_CASE("settings of the later steps are checked") {
  const float nan = std::nanf("");
  for (const SamplerSettings& bad : {SamplerSettings{.presence_penalty = nan}, {.frequency_penalty = 200}, {.top_n_sigma = -1}, {.typical_p = 2}, {.xtc_probability = nan},
                                     {.xtc_threshold = -0.1F}, {.dynamic_range = nan}, {.dynamic_exponent = 0}, {.mirostat_tau = 0}, {.mirostat_eta = 2},
                                     {.dry = dry(-1)}, {.dry = dry(1, 0.5F)}, {.dry = dry(1, 1.75F, -1)}, {.logit_bias = {{0, nan}}}}) {
    CHECK_THROWS_AS(core::validate(bad), core::Error);
  }
}

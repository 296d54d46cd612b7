// The sampler: each rule of the chain against its closed form, and the same token for the same logits.
#include "core/text/sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "core/error.h"
#include "tests/core/draws.h"

using namespace starling::core;
namespace tests = starling::tests;
using tests::chi_square;
using tests::Distribution;
using tests::kCritical;
using tests::softmax;

namespace {

const std::vector<float>& kLogits = tests::kSamplerLogits;

}  // namespace

TEST_CASE("draws follow the closed-form truncated distributions") {
  struct Case {
    const char* name;
    SamplerSettings settings;
    std::vector<TokenId> kept;
  };
  // Untempered probabilities in order: 1 and 4 (0.309 each), 3 (0.188), 7 (0.114), 0 (0.056), 5 (0.042), 2, 6.
  const std::vector<Case> cases = {
      {"temperature only", {.temperature = 0.7f, .seed = 1}, {0, 1, 2, 3, 4, 5, 6, 7}},
      {"hot", {.temperature = 2.0f, .seed = 2}, {0, 1, 2, 3, 4, 5, 6, 7}},
      {"top-k", {.temperature = 1.0f, .top_k = 3, .seed = 3}, {1, 3, 4}},
      {"top-p keeps the crossing token", {.temperature = 1.5f, .top_p = 0.75f, .seed = 4}, {1, 3, 4}},
      {"top-p of the untempered", {.temperature = 0.3f, .top_p = 0.85f, .seed = 5}, {1, 3, 4, 7}},
      {"min-p", {.temperature = 1.0f, .min_p = 0.3f, .seed = 6}, {1, 3, 4, 7}},
      {"top-p after top-k is a share of what is left", {.temperature = 1.0f, .top_k = 3, .top_p = 0.7f, .seed = 7}, {1, 4}},
      {"all three", {.temperature = 0.9f, .top_k = 6, .top_p = 0.95f, .min_p = 0.2f, .seed = 8}, {1, 3, 4, 7}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const Distribution expected = softmax(kLogits, c.kept, c.settings.temperature);
    CHECK(chi_square(c.settings, kLogits, expected, 100'000) < kCritical[c.kept.size() - 1]);
  }
}

TEST_CASE("the same logits give the same token, whatever was drawn before") {
  const SamplerSettings settings{.temperature = 1, .top_k = 6, .top_p = 0.95f, .seed = 42};
  Sampler fresh(settings), used(settings);
  for (std::uint64_t step = 0; step < 50; ++step) used.sample(kLogits, {}, 1000 + step);
  std::vector<TokenId> a, b, other;
  for (std::uint64_t step = 0; step < 50; ++step) a.push_back(fresh.sample(kLogits, {}, step));
  for (std::uint64_t step = 50; step-- > 0;) b.insert(b.begin(), used.sample(kLogits, {}, step));
  CHECK(a == b);
  Sampler seeded({.temperature = 1, .top_k = 6, .top_p = 0.95f, .seed = 43});
  for (std::uint64_t step = 0; step < 50; ++step) other.push_back(seeded.sample(kLogits, {}, step));
  CHECK(a != other);
  // Computed apart from this code, with the Philox of NumPy and the inverse of the cumulative distribution.
  CHECK(std::vector<TokenId>(a.begin(), a.begin() + 12) == std::vector<TokenId>{4, 1, 1, 1, 3, 4, 7, 4, 4, 3, 1, 1});
}

TEST_CASE("greedy takes the largest logit and the lowest id of equals") {
  Sampler greedy({});
  CHECK(greedy.sample(kLogits, {}, 0) == 1);
  CHECK(greedy.sample(kLogits, {}, 9) == 1);
  CHECK(Sampler({.temperature = -1}).sample(kLogits, {}, 0) == 1);
  CHECK(Sampler({.temperature = 1, .top_k = 1}).sample(kLogits, {}, 5) == 1);
  CHECK(Sampler({.temperature = 1, .top_p = 0}).sample(kLogits, {}, 5) == 1);
}

TEST_CASE("the repetition penalty divides positive and multiplies negative logits once per token of the window") {
  const std::vector<TokenId> recent = {3, 1, 1, 1};
  CHECK(Sampler({.repeat_penalty = 1.2f}).sample(kLogits, recent, 0) == 4);
  const std::vector<float> close = {2.0f, 1.9f, -5};
  CHECK(Sampler({.repeat_penalty = 1.04f}).sample(close, std::vector<TokenId>{0, 0, 0}, 0) == 0);  // 1.923, counted once
  CHECK(Sampler({.repeat_penalty = 1.1f}).sample(close, std::vector<TokenId>{0}, 0) == 1);
  CHECK(Sampler({.repeat_penalty = 1.1f, .repeat_window = 1}).sample(close, std::vector<TokenId>{0, 2}, 0) == 0);
  CHECK(Sampler({.repeat_penalty = 1.1f, .repeat_window = 0}).sample(close, std::vector<TokenId>{0}, 0) == 0);
  const std::vector<float> negative = {-1.0f, -1.1f};
  CHECK(Sampler({.repeat_penalty = 1.2f}).sample(negative, std::vector<TokenId>{0}, 0) == 1);
  const SamplerSettings settings{.temperature = 1, .repeat_penalty = 2, .seed = 9};
  std::vector<float> penalised = kLogits;
  penalised[1] /= 2;
  penalised[2] *= 2;
  Sampler direct({.temperature = 1, .seed = 9}), chained(settings);
  for (std::uint64_t step = 0; step < 200; ++step)
    CHECK(direct.sample(penalised, {}, step) == chained.sample(kLogits, std::vector<TokenId>{1, 2}, step));
}

TEST_CASE("masked and extreme logits stay in order") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity(), kMost = std::numeric_limits<float>::max();
  const std::vector<float> masked = {-kInfinity, 1.0f, -kInfinity, 1.0f};
  Sampler sampler({.temperature = 1, .seed = 1});
  for (std::uint64_t step = 0; step < 100; ++step) CHECK(sampler.sample(masked, {}, step) % 2 == 1);
  CHECK(Sampler({.temperature = 1e-30f, .seed = 1}).sample(std::vector<float>{1, 2, 1.99f}, {}, 0) == 1);
  CHECK(Sampler({.temperature = 1, .repeat_penalty = 100}).sample(std::vector<float>{-kMost, -kInfinity}, std::vector<TokenId>{0, 1}, 0) == 0);
  CHECK(Sampler({.temperature = 1, .repeat_penalty = 0.01f}).sample(std::vector<float>{kMost, 0}, std::vector<TokenId>{0}, 0) == 0);
}

TEST_CASE("a large vocabulary truncates like a small one") {
  std::vector<float> logits(50'000);
  for (std::size_t id = 0; id < logits.size(); ++id) logits[id] = static_cast<float>((id * 7919) % logits.size()) * 1e-3f;
  std::vector<TokenId> by_logit(logits.size());
  for (std::size_t id = 0; id < logits.size(); ++id) by_logit[id] = static_cast<TokenId>(id);
  std::sort(by_logit.begin(), by_logit.end(), [&](TokenId a, TokenId b) { return logits[a] > logits[b]; });
  // Logits fall by 0.001 a rank: the first r ranks hold 1 - exp(-r / 1000) of the mass, to within 1e-3.
  Sampler sampler({.temperature = 1, .top_p = 0.5f, .seed = 3});
  std::size_t deepest = 0;
  for (std::uint64_t step = 0; step < 300; ++step) {
    const TokenId id = sampler.sample(logits, {}, step);
    deepest = std::max<std::size_t>(deepest, std::find(by_logit.begin(), by_logit.end(), id) - by_logit.begin());
  }
  CHECK(deepest <= 694);
  CHECK(deepest > 600);
}

TEST_CASE("settings out of range and logits that are none are refused") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  for (const SamplerSettings& bad :
       {SamplerSettings{.temperature = nan}, {.temperature = infinity}, {.top_p = 1.5f}, {.top_p = -0.1f}, {.top_p = nan}, {.min_p = 2}, {.min_p = nan},
        {.repeat_penalty = 0}, {.repeat_penalty = nan}, {.repeat_penalty = infinity}, {.repeat_window = -1}}) {
    try {
      validate(bad);
      FAIL("accepted");
    } catch (const Error& e) {
      CHECK(e.kind() == Kind::usage);
    }
  }
  Sampler sampler({});
  for (const std::vector<float>& bad : {std::vector<float>{}, {1, nan}, {1, infinity}, {-infinity, -infinity}}) {
    try {
      sampler.sample(bad, {}, 0);
      FAIL("accepted");
    } catch (const Error& e) {
      CHECK(e.kind() == Kind::malformed);
    }
  }
  CHECK_THROWS_AS(Sampler({.repeat_penalty = 2}).sample(kLogits, std::vector<TokenId>{8}, 0), Error);
}

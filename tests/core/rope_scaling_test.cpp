// Stretched rotary embeddings: published divisors, and tables against the formulas in long double.
#include "core/models/rope_scaling.h"

#include <cmath>
#include <numbers>

#include <doctest/doctest.h>

#include "core/models/llama.h"

using namespace starling::core;
using Rule = RopeScaling::Rule;

namespace {

LlamaConfig scaled(std::int64_t head_size, float base, RopeScaling scaling, std::int64_t context, std::int64_t positions) {
  LlamaConfig c;
  c.head_size = head_size, c.rope_base = base, c.context = context;
  c.rope_scaling = std::move(scaling);
  scale_rope(c, positions, "test");
  return c;
}

/// Frequency of pair p by the rule's formula.
long double frequency(const LlamaConfig& c, std::size_t p) {
  const RopeScaling& s = c.rope_scaling;
  const auto d = static_cast<long double>(c.head_size), base = static_cast<long double>(c.rope_base);
  const long double theta = std::pow(base, -2 * static_cast<long double>(p) / d);
  if (s.rule == Rule::linear) return theta / s.factor;
  if (s.rule == Rule::longrope) return theta / (c.rope_divisors == s.short_divisors ? s.short_divisors[p] : s.long_divisors[p]);
  if (s.rule == Rule::none) return theta / (c.rope_divisors.empty() ? 1 : c.rope_divisors[p]);
  const auto corr = [&](long double r) { return d * std::log(s.original_context / (2 * std::numbers::pi_v<long double> * r)) / (2 * std::log(base)); };
  const long double start = std::max(0.0L, std::floor(corr(32))), end = std::min(d - 1, std::ceil(corr(1)));
  const long double ramp = 1 - std::clamp((static_cast<long double>(p) - start) / std::max(0.001L, end - start), 0.0L, 1.0L);
  return theta / s.factor * (1 - ramp) + theta * ramp;
}

}  // namespace

TEST_CASE("YaRN gives the published frequencies and magnitudes") {
  struct Golden { float base; double factor; std::int64_t original; std::size_t pair; double theta; double magnitude; };
  for (const Golden& g : {Golden{1e6f, 4, 32768, 23, 0.00697830585, 1.138629436}, {1e6f, 4, 32768, 24, 0.00537532149, 1.138629436},
                          {1e6f, 4, 32768, 31, 0.000802959728, 1.138629436}, {1e6f, 4, 32768, 39, 6.49039432e-05, 1.138629436},
                          {1e6f, 4, 32768, 63, 3.1023444e-07, 1.138629436}, {1e4f, 16, 4096, 33, 0.00460043547, 1.277258872},
                          {1e4f, 16, 4096, 46, 8.33450895e-05, 1.277258872}}) {
    const LlamaConfig c = scaled(128, g.base, {.rule = Rule::yarn, .factor = g.factor, .original_context = g.original}, 131072, 131072);
    CHECK(rope_frequencies(128, c.rope_base, c.rope_divisors)[g.pair] == doctest::Approx(g.theta).epsilon(1e-8));
    CHECK(c.rope_magnitude == doctest::Approx(g.magnitude).epsilon(1e-7));
  }
}

TEST_CASE("longrope divides by the short list while the positions fit the original context, and by the long one beyond") {
  RopeScaling s{.rule = Rule::longrope, .original_context = 4096};
  for (int p = 0; p < 48; ++p) s.short_divisors.push_back(1 + 0.01 * p), s.long_divisors.push_back(1 + p);
  CHECK(scaled(96, 1e4f, s, 131072, 4096).rope_divisors == s.short_divisors);
  CHECK(scaled(96, 1e4f, s, 131072, 4097).rope_divisors == s.long_divisors);
  CHECK(scaled(96, 1e4f, s, 131072, 4097).rope_magnitude == doctest::Approx(1.190238071).epsilon(1e-7));
  s.long_divisors.pop_back();
  CHECK_THROWS_WITH_AS(scaled(96, 1e4f, s, 131072, 1), doctest::Contains("47 rotary factors for 48 pairs"), Error);
}

TEST_CASE("tables of every rule are within 1e-6 of the formula at positions to 131072") {
  RopeScaling longrope{.rule = Rule::longrope, .original_context = 4096, .attention_factor = 1};
  for (int p = 0; p < 64; ++p) longrope.short_divisors.push_back(1 + 0.013 * p), longrope.long_divisors.push_back(1.07 + 0.9 * p);
  LlamaConfig llama3;
  llama3.head_size = 128, llama3.rope_base = 5e5f, llama3.rope_divisors = llama3_divisors(128, 5e5, 8, 1, 4, 8192);
  for (const LlamaConfig& c : {scaled(128, 1e6f, {.rule = Rule::linear, .factor = 8}, 131072, 131072),
                               scaled(128, 1e6f, {.rule = Rule::yarn, .factor = 4, .original_context = 32768, .attention_factor = 1}, 131072, 131072),
                               scaled(128, 1e4f, longrope, 131072, 131072), scaled(128, 1e4f, longrope, 131072, 4096), llama3}) {
    const auto frequencies = rope_frequencies(128, c.rope_base, c.rope_divisors);
    for (const std::int64_t position : {1, 4095, 65537, 131071, 131072}) {
      std::vector<float> cosine(64), sine(64);
      rope_table(frequencies, position, 1, cosine, sine, c.rope_magnitude);
      for (std::size_t p = 0; p < 64; ++p) {
        const long double angle = static_cast<long double>(position) * frequency(c, p);
        CHECK(std::abs(static_cast<long double>(cosine[p]) - std::cos(angle)) <= 1e-6L);
        CHECK(std::abs(static_cast<long double>(sine[p]) - std::sin(angle)) <= 1e-6L);
      }
    }
  }
}

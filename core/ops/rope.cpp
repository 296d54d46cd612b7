// Rotary position embeddings. Logarithm, exponential, sine and cosine are series of IEEE additions and
// multiplications, as C libraries differ in the last bit and all ranks must turn by the same angle.
#include "core/ops/rope.h"

#include <cmath>

#include "core/error.h"

namespace starling::core {
namespace {

constexpr double kLn2High = 0x1.62e42feep-1, kLn2Low = 0x1.a39ef35793c76p-33;

/// ln x for x > 0: x = 2^e m, ln m = 2 artanh((m - 1) / (m + 1)), |argument| <= 0.172.
double logarithm(double x) {
  int e;
  double m = std::frexp(x, &e);
  if (m < 0.70710678118654752) m *= 2, --e;
  const double s = (m - 1) / (m + 1), s2 = s * s;
  double sum = 0;
  for (int k = 23; k >= 1; k -= 2) sum = sum * s2 + 1.0 / k;
  return e * kLn2High + (e * kLn2Low + 2 * s * sum);
}

double exponential(double x) {
  const double n = std::nearbyint(x * 1.4426950408889634);
  const double r = (x - n * kLn2High) - n * kLn2Low;
  double sum = 1;
  for (int k = 14; k >= 1; --k) sum = 1 + r / k * sum;
  return std::ldexp(sum, static_cast<int>(n));
}

struct SineCosine {
  double sine, cosine;
};

/// Reduced by multiples of pi / 2 in three parts of 33, 33 and 53 bits: exact to 2^-52 for angles below 10^6.
SineCosine sine_cosine(double angle) {
  const double n = std::nearbyint(angle * 0.63661977236758134);
  const double r = ((angle - n * 0x1.921fb544p+0) - n * 0x1.0b4611a6p-34) - n * 0x1.3198a2e037073p-69;
  const double r2 = r * r;
  double sine = 1, cosine = 1;
  for (int k = 18; k >= 2; k -= 2) {
    cosine = 1 - r2 / (k * (k - 1)) * cosine;
    sine = 1 - r2 / (k * (k + 1)) * sine;
  }
  sine *= r;
  switch (static_cast<std::int64_t>(n) & 3) {
    case 0: return {sine, cosine};
    case 1: return {cosine, -sine};
    case 2: return {-sine, -cosine};
    default: return {-cosine, sine};
  }
}

}  // namespace

std::vector<double> rope_frequencies(std::int64_t dimensions, float base, std::span<const double> divisors) {
  const std::int64_t pairs = dimensions / 2;
  ensure(divisors.empty() || static_cast<std::int64_t>(divisors.size()) == pairs, "one rotary divisor a pair");
  const double log_base = logarithm(base);
  std::vector<double> frequencies(static_cast<std::size_t>(pairs));
  for (std::size_t p = 0; p < frequencies.size(); ++p) {
    const double exponent = -2.0 * static_cast<double>(p) / static_cast<double>(dimensions);
    frequencies[p] = exponential(exponent * log_base);
    if (!divisors.empty()) frequencies[p] /= divisors[p];
  }
  return frequencies;
}

void rope_table(std::span<const double> frequencies, std::int64_t first, std::int64_t rows, std::span<float> cosine,
                std::span<float> sine, double magnitude) {
  const std::size_t pairs = frequencies.size(), count = pairs * static_cast<std::size_t>(rows);
  ensure(cosine.size() >= count && sine.size() >= count, "the rotary table has no room");
  for (std::size_t i = 0; i < count; ++i) {
    const auto position = static_cast<double>(first + static_cast<std::int64_t>(i / pairs));
    const SineCosine turn = sine_cosine(position * frequencies[i % pairs]);
    cosine[i] = static_cast<float>(turn.cosine * magnitude);
    sine[i] = static_cast<float>(turn.sine * magnitude);
  }
}

void rope(std::span<float> x, std::int64_t rows, std::int64_t heads, const RopeShape& shape, std::span<const float> cosine,
          std::span<const float> sine) {
  ensure(static_cast<std::int64_t>(x.size()) == rows * heads * shape.head_size && 2 * shape.pairs <= shape.head_size, "sizes of a rotation disagree");
  // The first value of pair p is at p * step, the second `apart` behind it.
  const bool halves = shape.pairing == Pairing::halves;
  const std::int64_t step = halves ? 1 : 2, apart = halves ? shape.pairs : 1;
  float* head_values = x.data();
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* c = cosine.data() + row * shape.pairs;
    const float* s = sine.data() + row * shape.pairs;
    for (std::int64_t head = 0; head < heads; ++head, head_values += shape.head_size)
      for (std::int64_t p = 0; p < shape.pairs; ++p) {
        float* v = head_values + p * step;
        const float a = v[0], b = v[apart];
        v[0] = a * c[p] - b * s[p];
        v[apart] = a * s[p] + b * c[p];
      }
  }
}

}  // namespace starling::core

// Rotary position embeddings (Su et al. 2021): the pairs of a head's values turn by position * base^(-2p / dimensions) /
// divisor[p]. Which two values are pair p is a convention of the weights' files; both are computed as they are stored,
// since turning one into the other would copy matrices that otherwise stay in the mapped file.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace starling::core {

enum class Pairing {
  interleaved,  // 2p and 2p + 1: Meta's originals, llama2.c, GGUF "llama"
  halves,       // p and p + pairs: everything else
};

/// Of a head's values the first 2 * pairs turn, the others stay.
struct RopeShape {
  std::int64_t head_size = 0, pairs = 0;
  Pairing pairing = Pairing::interleaved;
};

/// The angles' frequencies, {dimensions / 2}. Their bits depend on the arguments alone, not on the C library or
/// the processor. `divisors`: empty, or dimensions / 2 of them.
std::vector<double> rope_frequencies(std::int64_t dimensions, float base, std::span<const double> divisors);

/// cosine and sine, times `magnitude`: {rows, frequencies}, for positions first, first + 1, ... Computed in double with
/// range reduction and rounded once.
void rope_table(std::span<const double> frequencies, std::int64_t first, std::int64_t rows, std::span<float> cosine,
                std::span<float> sine, double magnitude = 1);

/// Turns every head of x: {rows, heads, head_size} in place.
void rope(std::span<float> x, std::int64_t rows, std::int64_t heads, const RopeShape& shape, std::span<const float> cosine,
          std::span<const float> sine);

}  // namespace starling::core

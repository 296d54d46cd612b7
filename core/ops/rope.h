// Rotary position embeddings (Su et al. 2021) with interleaved pairs: dimensions 2p and 2p + 1 of a head turn
// by position * base^(-2p / head_size) / divisor[p].
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace starling::core {

/// The angles' frequencies, {head_size / 2}. Their bits depend on the arguments alone, not on the C library or
/// the processor. `divisors`: empty, or head_size / 2 of them.
std::vector<double> rope_frequencies(std::int64_t head_size, float base, std::span<const float> divisors);

/// cosine and sine: {rows, frequencies}, for positions first, first + 1, ... Computed in double with range
/// reduction and rounded once.
void rope_table(std::span<const double> frequencies, std::int64_t first, std::int64_t rows, std::span<float> cosine,
                std::span<float> sine);

/// Turns every head of x: {rows, heads, 2 * pairs} in place.
void rope(std::span<float> x, std::int64_t rows, std::int64_t heads, std::int64_t pairs, std::span<const float> cosine,
          std::span<const float> sine);

}  // namespace starling::core

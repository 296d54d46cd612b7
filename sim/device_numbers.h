// The random numbers of simulated devices: what each stream is for. The values are part of every kept result.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/random_stream.h"

namespace starling::sim {

enum class Draw : std::uint64_t { speed = 1, link, clock, presence, duration, failure, phone, load, trace };

inline core::RandomStream device_numbers(std::uint64_t seed, std::int64_t client, Draw what, std::uint64_t step = 0) {
  return {seed, core::Purpose::devices, {static_cast<std::uint64_t>(what), static_cast<std::uint64_t>(client), step}};
}

/// Log-normal: so many have at most `median`.
inline double log_normal(core::RandomStream& random, double median, double sigma) { return median * std::exp(sigma * random.normal()); }

}  // namespace starling::sim

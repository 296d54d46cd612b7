// Randomness that is counted, not drawn: Philox4x64-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers:
// as easy as 1, 2, 3", SC 2011). A value depends on its place only, never on thread, time or order.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace starling::core {

/// What the numbers are for; two purposes never share a stream. The values are part of every kept result: append only.
enum class Purpose : std::uint64_t { sampling = 1, initial_values = 2, dropout = 3, partition = 4, order = 5, clients = 6, devices = 7, attack = 8, data = 12, texts = 16, augmentation = 17, buckets = 18 };

struct RandomPlace {
  std::uint64_t round = 0, client = 0, step = 0;
};

/// 256 random bits: key (seed, purpose), counter (round, client, step, block).
std::array<std::uint64_t, 4> random_bits(std::uint64_t seed, Purpose purpose, const RandomPlace& place, std::uint64_t block = 0);

/// The words of blocks 0, 1, 2 ... one after the other: as random_bits, for many at once.
void random_fill(std::uint64_t seed, Purpose purpose, const RandomPlace& place, std::span<std::uint64_t> to);

/// The upper 53 bits as a number in [0, 1).
constexpr double to_unit_interval(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

}  // namespace starling::core

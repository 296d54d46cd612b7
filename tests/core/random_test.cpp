// Philox against published and independently computed values.
#include "core/random.h"

#include <doctest/doctest.h>

using namespace starling::core;

TEST_CASE("random_bits is Philox4x64-10 with key (seed, purpose) and counter (round, client, step, block)") {
  // NumPy's Philox with key (0, 1), counter 0, and with key (1234567890123, 1), counter (3, 5, 7, 2).
  CHECK(random_bits(0, Purpose::sampling, {}) ==
        std::array<std::uint64_t, 4>{0x9c6b270905f0b111, 0xdee74de5c22fba4e, 0x0fbe587afae091f8, 0xd5ad8fe3bd272f76});
  CHECK(random_bits(1234567890123, Purpose::sampling, {.round = 3, .client = 5, .step = 7}, 2) ==
        std::array<std::uint64_t, 4>{0xab52d39d96da50eb, 0xed8c3fefdcfeedc3, 0x4856ae71a5edc152, 0x55a855b7c9880f7f});
}

TEST_CASE("the unit interval includes 0 and excludes 1") {
  CHECK(to_unit_interval(0) == 0);
  CHECK(to_unit_interval(~std::uint64_t{0}) < 1);
  CHECK(to_unit_interval(std::uint64_t{1} << 63) == 0.5);
}

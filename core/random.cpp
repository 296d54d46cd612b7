// Philox4x64-10 from Random123; the counter and key words are laid out in random.h.
#include "core/random.h"

#include <Random123/philox.h>

namespace starling::core {

std::array<std::uint64_t, 4> random_bits(std::uint64_t seed, Purpose purpose, const RandomPlace& place, std::uint64_t block) {
  const r123::Philox4x64::ctr_type counter = {{place.round, place.client, place.step, block}};
  const r123::Philox4x64::key_type key = {{seed, static_cast<std::uint64_t>(purpose)}};
  const r123::Philox4x64::ctr_type bits = r123::Philox4x64()(counter, key);
  return {bits[0], bits[1], bits[2], bits[3]};
}

}  // namespace starling::core

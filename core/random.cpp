// Philox4x64-10 from Random123; the counter and key words are laid out in random.h.
#include "core/random.h"

#include <algorithm>

#include <Random123/philox.h>

namespace starling::core {

std::array<std::uint64_t, 4> random_bits(std::uint64_t seed, Purpose purpose, const RandomPlace& place, std::uint64_t block) {
  const r123::Philox4x64::ctr_type counter = {{place.round, place.client, place.step, block}};
  const r123::Philox4x64::key_type key = {{seed, static_cast<std::uint64_t>(purpose)}};
  const r123::Philox4x64::ctr_type bits = r123::Philox4x64()(counter, key);
  return {bits[0], bits[1], bits[2], bits[3]};
}

void random_fill(std::uint64_t seed, Purpose purpose, const RandomPlace& place, std::span<std::uint64_t> to) {
  const r123::Philox4x64::key_type key = {{seed, static_cast<std::uint64_t>(purpose)}};
  const auto block = [&](std::size_t at) { return r123::Philox4x64()({{place.round, place.client, place.step, at / 4}}, key); };
  std::size_t at = 0;
  for (; at + 4 <= to.size(); at += 4) {
    const r123::Philox4x64::ctr_type bits = block(at);
    std::copy(bits.begin(), bits.end(), to.begin() + static_cast<std::ptrdiff_t>(at));
  }
  if (at == to.size()) return;
  const r123::Philox4x64::ctr_type bits = block(at);
  std::copy_n(bits.begin(), to.size() - at, to.begin() + static_cast<std::ptrdiff_t>(at));
}

}  // namespace starling::core

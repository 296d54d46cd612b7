// Checks the integer kernels of an ARM processor, compiled alone: no library of the house, only they, their scalar
// reference and the choice between them.
#include <cstdio>

#include "core/ops/packed_kernels.h"
#include "tests/neon/packed_checksum.h"

int main() {
  using starling::tests::kPackedChecksum;
  bool right = true, neon = false;
  for (const starling::core::PackedKernels* kernels : starling::core::available_packed_kernels()) {
    const std::uint64_t sum = starling::tests::PackedChecksum::of(*kernels);
    std::printf("%s: %016llx%s\n", kernels->name, static_cast<unsigned long long>(sum), sum == kPackedChecksum ? "" : " is wrong");
    right = right && sum == kPackedChecksum;
    neon = neon || kernels != &starling::core::packed_scalar();
  }
  if (!neon) std::printf("this processor has no dot products: the NEON kernels were not run\n");
  return right && neon ? 0 : 1;
}

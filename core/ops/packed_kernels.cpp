#include "core/ops/packed_kernels.h"

#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace starling::core {
#if defined(__x86_64__)
namespace {

/// clang 16 has no such name for __builtin_cpu_supports. What "avx2" says of the system's registers holds for it too.
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

}  // namespace
#endif

std::span<const PackedKernels* const> available_packed_kernels() {
  static const std::vector<const PackedKernels*> available = [] {
    std::vector<const PackedKernels*> kernels;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
      kernels.push_back(&packed_avx512());
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c()) kernels.push_back(&packed_avx2());
#elif defined(__aarch64__)
    if ((::getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0) kernels.push_back(&packed_neon());
#endif
    kernels.push_back(&packed_scalar());
    return kernels;
  }();
  return available;
}

const PackedKernels& packed_kernels() { return *available_packed_kernels().front(); }

}  // namespace starling::core

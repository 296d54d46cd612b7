// Runs a check once for every instruction set of this machine.
#pragma once

#include <cstdint>
#include <vector>

#include <hwy/highway.h>

namespace starling::tests {

/// Makes the dispatch choose `targets` until the end of the scope.
class OnlyTargets {
 public:
  explicit OnlyTargets(std::int64_t targets) {
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  ~OnlyTargets() {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  OnlyTargets(const OnlyTargets&) = delete;
  OnlyTargets& operator=(const OnlyTargets&) = delete;
};

/// The targets of this machine that were compiled, best first.
inline std::vector<std::int64_t> all_targets() {
  std::vector<std::int64_t> targets;
  for (std::int64_t rest = hwy::SupportedTargets() & HWY_TARGETS; rest != 0; rest &= rest - 1) targets.push_back(rest & -rest);
  return targets;
}

inline bool has_fma(std::int64_t target) { return target < HWY_SSE4 || target == HWY_NEON; }

}  // namespace starling::tests

// Kernels promise the same bits on every instruction set with FMA: one check of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/oracle/targets.h"

namespace starling::tests {

/// Runs `compute` on every target with FMA and checks that all give the same bits; returns them.
template <class Compute>
std::vector<float> same_on_all_targets(const Compute& compute) {
  std::vector<float> first;
  for (const std::int64_t target : all_targets()) {
    if (!has_fma(target)) continue;
    const OnlyTargets only(target);
    const std::vector<float> result = compute();
    if (first.empty()) first = result;
    CAPTURE(std::string(hwy::TargetName(target)));
    CHECK(std::vector<std::uint32_t>(reinterpret_cast<const std::uint32_t*>(result.data()),
                                     reinterpret_cast<const std::uint32_t*>(result.data()) + result.size()) ==
          std::vector<std::uint32_t>(reinterpret_cast<const std::uint32_t*>(first.data()),
                                     reinterpret_cast<const std::uint32_t*>(first.data()) + first.size()));
  }
  return first.empty() ? compute() : first;
}

}  // namespace starling::tests

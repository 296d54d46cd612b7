// What the attention kernels of all targets work on.
#pragma once

#include <cstdint>

#include "core/ops/attention.h"

namespace starling::core {

/// Rows of one task: they share the expansion of a chunk of the cache.
constexpr std::int64_t kTaskRows = 8;

struct AttentionJob {
  CacheView cache;
  const float* query;
  float* out;
  std::int64_t rows, heads, position;
  float scale, cap;      // as in AttentionRule, the scale resolved
  std::int64_t window;
};

}  // namespace starling::core

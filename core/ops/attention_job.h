// What the attention kernels of all targets work on.
#pragma once

#include <cstdint>

#include "core/ops/attention.h"

namespace starling::core {

/// A row is one query head of one place here: so many rows that share a kv head are one task and share the
/// expansion of a chunk of the cache.
constexpr std::int64_t kTaskRows = 8;

/// One part of a batch.
struct AttentionJob {
  CacheView cache;
  const float* query;  // of the part's first place
  float* out;
  std::int64_t places, heads, position;
  float scale, cap;      // as in AttentionRule, the scale resolved
  std::int64_t window;

  std::int64_t group() const { return heads / cache.kv_heads; }
  std::int64_t tasks_of_head() const { return (places * group() + kTaskRows - 1) / kTaskRows; }
  std::int64_t tasks() const { return tasks_of_head() * cache.kv_heads; }
};

}  // namespace starling::core

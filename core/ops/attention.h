// Grouped-query attention over cached keys and values (Vaswani et al. 2017; Ainslie et al. 2023), with the
// running softmax of Milakov and Gimelshein (2018) in chunks of fixed absolute positions, so that a row has
// the same bits in any batch and on any thread.
#pragma once

#include <cstdint>
#include <span>

#include "core/bytes.h"
#include "core/pool.h"
#include "core/types.h"

namespace starling::core {

constexpr std::int64_t kHeadSizeMax = 512;  // bounds the kernel's scratch on the stack

/// One layer's cache: {kv_heads, positions, head_size} stored as `type`, for keys and for values.
struct CacheView {
  Type type = Type::f32;
  std::int64_t kv_heads = 0;
  std::int64_t positions = 0;
  std::int64_t head_size = 0;
  const std::byte* keys = nullptr;
  const std::byte* values = nullptr;
};

/// How scores become weights; the defaults are those of Vaswani et al.
struct AttentionRule {
  float scale = 0;          // of the scores; 0: 1 / sqrt(head_size)
  float cap = 0;            // above 0: a scaled score s becomes cap * tanh(s / cap) (Gemma 2)
  std::int64_t window = 0;  // above 0: a row sees the last `window` positions, its own among them
};

/// query, out: {rows, heads, head_size} for positions [position, position + rows), whose keys and values are
/// in the cache already. heads is a multiple of kv_heads; consecutive query heads share a kv head. A window
/// or its lack changes nothing for rows that see as much either way.
void attention(std::span<const float> query, std::int64_t rows, std::int64_t heads, std::int64_t position,
               const CacheView& cache, std::span<float> out, Pool& pool, const AttentionRule& rule = {});

}  // namespace starling::core

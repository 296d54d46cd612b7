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

/// query, out: {rows, heads, head_size} for positions [position, position + rows), whose keys and values are
/// in the cache already. heads is a multiple of kv_heads; consecutive query heads share a kv head. Scores are
/// divided by sqrt(head_size).
void attention(std::span<const float> query, std::int64_t rows, std::int64_t heads, std::int64_t position,
               const CacheView& cache, std::span<float> out, Pool& pool);

}  // namespace starling::core

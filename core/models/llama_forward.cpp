// The equation of a Llama block on one rank's slice:
//   x = x + all_reduce(attend(norm(x)));  x = x + all_reduce(feed_forward(norm(x))).
#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/models/llama.h"
#include "core/ops/attention.h"
#include "core/ops/grid.h"
#include "core/ops/matmul.h"
#include "core/ops/norm.h"
#include "core/ops/rope.h"
#include "core/ops/swiglu.h"
#include "core/quant/blocks.h"

namespace starling::core {

struct LlamaWorkspace::Buffers {
  std::vector<double> frequencies;               // {head_size / 2}
  std::vector<float> cosine, sine;               // {rows, head_size / 2}
  std::vector<float> normed;                     // {rows, D}
  std::vector<float> query, key, value, heads;   // {rows, heads * head_size} of the slice
  std::vector<float> gate, up;                   // {rows, ffn of the slice}
  std::vector<double> parts;                     // {rows, D}: this rank's grid sums
  std::vector<float> total;                      // {rows, D}
};

LlamaWorkspace::LlamaWorkspace(const LlamaConfig& config, const LlamaSlice& slice, std::int64_t rows_max)
    : rows_max_(rows_max), buffers_(std::make_unique<Buffers>()) {
  ensure(rows_max > 0, "a workspace for no rows");
  const std::int64_t kv = (slice.kv_end - slice.kv_begin) * config.head_size;
  const auto floats = [&](std::int64_t columns) { return std::vector<float>(static_cast<std::size_t>(rows_max * columns)); };
  Buffers& b = *buffers_;
  b.frequencies = rope_frequencies(config.head_size, config.rope_base, config.rope_divisors);
  b.cosine = b.sine = floats(config.head_size / 2);
  b.normed = b.total = floats(config.width);
  b.query = b.heads = floats(kv * (config.heads / config.kv_heads));
  b.key = b.value = floats(kv);
  b.gate = b.up = floats(slice.ffn_end - slice.ffn_begin);
  b.parts.resize(static_cast<std::size_t>(rows_max * config.width));
}

LlamaWorkspace::~LlamaWorkspace() = default;
LlamaWorkspace::LlamaWorkspace(LlamaWorkspace&&) noexcept = default;

namespace {

using Buffers = LlamaWorkspace::Buffers;

/// What every step of one call shares.
struct Step {
  const LlamaShard& shard;
  std::int64_t rows, position;
  KvCache& cache;
  Buffers& buffers;
  Group& group;
  Pool& pool;

  std::int64_t kv_heads() const { return shard.slice.kv_end - shard.slice.kv_begin; }
  std::int64_t heads() const { return kv_heads() * (shard.config.heads / shard.config.kv_heads); }
  std::int64_t ffn() const { return shard.slice.ffn_end - shard.slice.ffn_begin; }
  template <class T>
  std::span<T> take(std::vector<T>& buffer, std::int64_t columns) const {
    return {buffer.data(), static_cast<std::size_t>(rows * columns)};
  }
};

void store_rows(const Step& s, std::int64_t layer) {
  const auto size = static_cast<std::size_t>(s.shard.config.head_size);
  std::size_t at = 0;
  for (std::int64_t row = 0; row < s.rows; ++row)
    for (std::int64_t head = 0; head < s.kv_heads(); ++head, at += size) {
      const std::int64_t position = s.position + row;
      quantize(s.cache.type(), std::span<const float>(s.buffers.key).subspan(at, size), s.cache.key(layer, head, position));
      quantize(s.cache.type(), std::span<const float>(s.buffers.value).subspan(at, size), s.cache.value(layer, head, position));
    }
}

/// The heads of this slice over the cache: {rows, heads * head_size}. Empty without heads.
std::span<const float> attend(const Step& s, const LlamaBlock& block, std::int64_t layer, std::span<const float> x) {
  const std::int64_t size = s.shard.config.head_size;
  if (s.kv_heads() == 0) return {};
  Buffers& b = s.buffers;
  const auto query = s.take(b.query, s.heads() * size), heads = s.take(b.heads, s.heads() * size);
  const auto key = s.take(b.key, s.kv_heads() * size), value = s.take(b.value, s.kv_heads() * size);
  matmul(block.query, x, s.rows, query, s.pool);
  matmul(block.key, x, s.rows, key, s.pool);
  matmul(block.value, x, s.rows, value, s.pool);
  rope(query, s.rows, s.heads(), size / 2, b.cosine, b.sine);
  rope(key, s.rows, s.kv_heads(), size / 2, b.cosine, b.sine);
  store_rows(s, layer);
  const CacheView view{.type = s.cache.type(),
                       .kv_heads = s.kv_heads(),
                       .positions = s.cache.positions(),
                       .head_size = size,
                       .keys = s.cache.key(layer, 0, 0).data(),
                       .values = s.cache.value(layer, 0, 0).data()};
  attention(query, s.rows, s.heads(), s.position, view, heads, s.pool);
  return heads;
}

std::span<const float> feed_forward(const Step& s, const LlamaBlock& block, std::span<const float> x) {
  if (s.ffn() == 0) return {};
  const auto gate = s.take(s.buffers.gate, s.ffn()), up = s.take(s.buffers.up, s.ffn());
  matmul(block.gate, x, s.rows, gate, s.pool);
  matmul(block.up, x, s.rows, up, s.pool);
  swiglu(gate, up, s.pool);
  return gate;
}

/// x += the sum over all ranks of transpose(w) applied to their inner columns, in units of `unit` of which the
/// whole model has `count`. A rank without columns adds zeros.
void add_all(const Step& s, const Tensor& w, std::int64_t unit, std::int64_t count, std::span<const float> inner,
             std::int64_t layer, const char* what, std::span<float> x) {
  const auto total = s.take(s.buffers.total, s.shard.config.width);
  if (s.shard.sum == Sum::fast) {
    std::fill(total.begin(), total.end(), 0.0f);
    if (!inner.empty()) matmul(w, inner, s.rows, total, s.pool);
    s.group.all_reduce(total);
  } else {
    const auto parts = s.take(s.buffers.parts, s.shard.config.width);
    std::fill(parts.begin(), parts.end(), 0.0);
    if (!inner.empty()) {
      const float largest = matmul_grid(w, unit, inner, s.rows, parts, s.pool);
      check(largest <= grid_limit(count), Kind::unsupported,
            "layer {}: a partial sum of the {} is {}, outside the exact range of {}; use --sum fast", layer, what, largest,
            grid_limit(count));
    }
    s.group.all_reduce(parts, total);
  }
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += total[i];
}

}  // namespace

void forward_blocks(const LlamaShard& shard, std::span<float> hidden, std::int64_t rows, std::int64_t position, KvCache& cache,
                    LlamaWorkspace& workspace, Group& group, Pool& pool) {
  const LlamaConfig& config = shard.config;
  ensure(rows > 0 && rows <= workspace.rows_max(), "more rows than the workspace holds");
  ensure(position >= 0 && rows <= cache.positions() - position, "positions beyond the cache");
  ensure(static_cast<std::int64_t>(hidden.size()) == rows * config.width, "a residual stream of another size");
  ensure(static_cast<std::int64_t>(shard.blocks.size()) == config.layers, "another number of blocks than layers");
  Buffers& b = workspace.buffers();
  const Step s{shard, rows, position, cache, b, group, pool};
  const LlamaUnits unit = units(config);
  const std::int64_t ffn_units = (config.ffn + unit.ffn_columns - 1) / unit.ffn_columns;
  const auto normed = s.take(b.normed, config.width);
  rope_table(b.frequencies, position, rows, b.cosine, b.sine);

  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const LlamaBlock& block = shard.blocks[static_cast<std::size_t>(layer)];
    rms_norm(hidden, rows, block.attention_norm.floats(), config.norm_epsilon, normed, pool);
    add_all(s, block.attention_output, unit.attention_columns, config.kv_heads, attend(s, block, layer, normed), layer,
            "attention output", hidden);
    rms_norm(hidden, rows, block.ffn_norm.floats(), config.norm_epsilon, normed, pool);
    add_all(s, block.down, unit.ffn_columns, ffn_units, feed_forward(s, block, normed), layer, "feed-forward part", hidden);
  }
}

}  // namespace starling::core

// Inference as a backend of the equation, on one rank's slice: values lie in the workspace, the residual stream is
// updated in place, keys and values enter the cache.
#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/models/llama.h"
#include "core/models/llama_equation.h"
#include "core/models/llama_workspace.h"
#include "core/ops/attention.h"
#include "core/ops/elementwise.h"
#include "core/ops/geglu.h"
#include "core/ops/grid.h"
#include "core/ops/matmul.h"
#include "core/ops/norm.h"
#include "core/ops/rope.h"
#include "core/ops/swiglu.h"
#include "core/quant/blocks.h"

namespace starling::core {

namespace {

using Buffers = LlamaWorkspace::Buffers;
using Values = std::span<const float>;

/// A matrix, a bias (or none), and where their product goes.
struct Product {
  const Tensor& matrix;
  const Tensor& bias;
  std::span<float> into;
};

/// A matrix whose columns are cut: its product is a sum of units of `unit` columns, of which the whole model has `count`.
/// The slice's begin at `first`.
struct CutProduct {
  const Tensor& matrix;
  const Tensor& bias;  // added to the sum over all ranks
  std::int64_t unit, count, first, layer;
  const char* what;
};

const Tensor kNone;

Values gain_of(const Tensor& tensor) { return tensor.empty() ? Values{} : tensor.floats(); }

class Inference {
 public:
  using Residual = std::span<float>;
  using Weights = LlamaWeights<Values, Product, CutProduct>;

  Inference(const LlamaShard& shard, std::int64_t rows, std::span<const Segment> segments, Buffers& buffers, Group& group, Pool& pool)
      : shard_(shard), config_(shard.config), rows_(rows), segments_(segments), b_(buffers), group_(group), pool_(pool) {}

  Weights weights(std::int64_t layer) const {
    const LlamaBlock& block = shard_.blocks[static_cast<std::size_t>(layer)];
    const LlamaUnits unit = units(config_);
    const std::int64_t ffn_units = (config_.ffn + unit.ffn_columns - 1) / unit.ffn_columns;
    const std::int64_t q = heads() * config_.head_size, kv = kv_heads() * config_.head_size, ffn = shard_.slice.ffn_end - shard_.slice.ffn_begin;
    return {.attention_norm = block.attention_norm.floats(),
            .query = {block.query, block.query_bias, take(b_.query, q)},
            .key = {block.key, block.key_bias, take(b_.key, kv)},
            .value = {block.value, block.value_bias, take(b_.value, kv)},
            .attention_output = {block.attention_output, block.output_bias, unit.attention_columns, config_.kv_heads,
                                 first_column(block.attention_output, shard_.slice.kv_begin * unit.attention_columns), layer, "attention output"},
            .ffn_norm = block.ffn_norm.floats(),
            .gate = {block.gate, block.gate_bias, take(b_.gate, ffn)},
            .up = {block.up, block.up_bias, take(b_.up, ffn)},
            .down = {block.down, block.down_bias, unit.ffn_columns, ffn_units, first_column(block.down, shard_.slice.ffn_begin), layer, "feed-forward part"},
            .query_norm = gain_of(block.query_norm),
            .key_norm = gain_of(block.key_norm),
            .attention_post_norm = gain_of(block.attention_post_norm),
            .ffn_post_norm = gain_of(block.ffn_post_norm)};
  }

  Values norm(Values x, Values gain) const {
    const auto normed = take(b_.normed, config_.width);
    rms_norm(x, rows_, gain, config_.norm_epsilon, normed, pool_);
    return normed;
  }

  std::span<float> head_norm(std::span<float> x, Values gain) const {
    if (!gain.empty() && !x.empty()) rms_norm(x, static_cast<std::int64_t>(x.size() / gain.size()), gain, config_.norm_epsilon, x, pool_);
    return x;
  }

  Values post_norm(std::span<float> x, Values gain) const {
    if (!gain.empty()) rms_norm(x, rows_, gain, config_.norm_epsilon, x, pool_);
    return x;
  }

  std::span<float> product(const Product& w, Values x) const {
    matmul(w.matrix, x, rows_, w.into, pool_);
    if (!w.bias.empty()) add_bias(w.bias.floats(), rows_, w.into);
    return w.into;
  }

  std::span<float> rotary(std::span<float> x, std::int64_t layer) const {
    const bool windowed = config_.window_rope_base > 0 && config_.window(layer) > 0;
    const RopeTable& table = windowed ? b_.window_rope : b_.rope;
    const RopeShape shape{config_.head_size, config_.rotated_dimensions() / 2, config_.pairing};
    rope(x, rows_, static_cast<std::int64_t>(x.size()) / (rows_ * config_.head_size), shape, table.cosine, table.sine);
    return x;
  }

  /// The heads of this slice, each row over its own sequence's cache: {rows, heads * head_size}. Empty without heads.
  Values attention(Values query, Values key, Values value, std::int64_t layer) const {
    if (kv_heads() == 0) return {};
    const auto result = take(b_.heads, heads() * config_.head_size);
    const AttentionRule rule{config_.attention_scale, config_.attention_cap, config_.window(layer)};
    std::int64_t first = 0;
    b_.parts_of_attention.clear();
    for (const Segment& segment : segments_) {
      KvCache& cache = *segment.cache;
      store_rows(rows_of(key, first, segment.rows), rows_of(value, first, segment.rows), segment, layer);
      const CacheView view{.type = cache.type(),
                           .kv_heads = kv_heads(),
                           .positions = cache.positions(),
                           .head_size = config_.head_size,
                           .keys = cache.key(layer, 0, 0).data(),
                           .values = cache.value(layer, 0, 0).data()};
      b_.parts_of_attention.push_back({view, segment.position, segment.rows});
      first += segment.rows;
    }
    core::attention(query, heads(), b_.parts_of_attention, result, pool_, rule);
    return result;
  }

  Values gated(std::span<float> gate, Values up) const {
    if (gate.empty()) return gate;
    if (config_.gelu)
      geglu(gate, up, pool_);
    else
      swiglu(gate, up, pool_);
    return gate;
  }

  /// Terms on the grid, or plain ones in `total` when `parts` is empty.
  struct Terms {
    std::span<double> parts;
    std::span<float> total;
    const Tensor& bias;
  };
  /// A rank without columns has zeros.
  Terms partial(const CutProduct& w, Values x) const {
    Terms terms{{}, take(b_.total, config_.width), w.bias};
    if (shard_.sum == Sum::fast) {
      std::fill(terms.total.begin(), terms.total.end(), 0.0f);
      if (!x.empty()) matmul(w.matrix, x, rows_, terms.total, pool_, w.first);
      return terms;
    }
    terms.parts = take(b_.parts, config_.width);
    std::fill(terms.parts.begin(), terms.parts.end(), 0.0);
    if (x.empty()) return terms;
    const float largest = matmul_grid(w.matrix, w.unit, x, rows_, terms.parts, pool_, w.first);
    check(largest <= grid_limit(w.count), Kind::unsupported,
          "layer {}: a partial sum of the {} is {}, outside the exact range of {}; use --sum fast", w.layer, w.what, largest, grid_limit(w.count));
    return terms;
  }

  bool has_experts() const { return config_.experts > 0; }
  Terms mixture(Values x, std::int64_t layer) const {
    Terms terms{{}, take(b_.total, config_.width), kNone};
    if (shard_.sum == Sum::exact) terms.parts = take(b_.parts, config_.width);
    add_experts({shard_, layer, rows_, pool_}, x, b_, terms.parts, terms.total);
    return terms;
  }

  std::span<float> all_reduce(const Terms& terms) const {
    if (terms.parts.empty())
      group_.all_reduce(terms.total);
    else
      group_.all_reduce(terms.parts, terms.total);
    if (!terms.bias.empty()) add_bias(terms.bias.floats(), rows_, terms.total);
    return terms.total;
  }

  Residual add(Residual x, Values y) const {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
    return x;
  }

 private:
  std::int64_t kv_heads() const { return shard_.slice.kv_end - shard_.slice.kv_begin; }
  std::int64_t heads() const { return kv_heads() * (config_.heads / config_.kv_heads); }
  template <class T>
  std::span<T> take(std::vector<T>& buffer, std::int64_t columns) const {
    return {buffer.data(), static_cast<std::size_t>(rows_ * columns)};
  }

  /// Rows [first, first + count) of the batch.
  template <class T>
  std::span<T> rows_of(std::span<T> x, std::int64_t first, std::int64_t count) const {
    const std::size_t columns = x.size() / static_cast<std::size_t>(rows_);
    return x.subspan(static_cast<std::size_t>(first) * columns, static_cast<std::size_t>(count) * columns);
  }

  void store_rows(Values key, Values value, const Segment& segment, std::int64_t layer) const {
    const auto size = static_cast<std::size_t>(config_.head_size);
    KvCache& cache = *segment.cache;
    std::size_t at = 0;
    for (std::int64_t row = 0; row < segment.rows; ++row)
      for (std::int64_t head = 0; head < kv_heads(); ++head, at += size) {
        const std::int64_t position = segment.position + row;
        quantize(cache.type(), key.subspan(at, size), cache.key(layer, head, position));
        quantize(cache.type(), value.subspan(at, size), cache.value(layer, head, position));
      }
  }

  const LlamaShard& shard_;
  const LlamaConfig& config_;
  std::int64_t rows_;
  std::span<const Segment> segments_;
  Buffers& b_;
  Group& group_;
  Pool& pool_;
};

/// The two operations of the head. Normalised rows replace their rows of the residual stream, which ends here.
struct Head {
  const LlamaConfig& config;
  std::int64_t rows;
  Pool& pool;

  Values norm(std::span<float> x, Values gain) const {
    rms_norm(x, rows, gain, config.norm_epsilon, x, pool);
    return x;
  }
  Values product(const Product& w, Values x) const {
    matmul(w.matrix, x, rows, w.into, pool);
    return w.into;
  }
};

std::int64_t rows_of(const LlamaConfig& config, std::span<const float> hidden) {
  ensure(!hidden.empty() && static_cast<std::int64_t>(hidden.size()) % config.width == 0, "the head takes whole rows");
  return static_cast<std::int64_t>(hidden.size()) / config.width;
}

}  // namespace

void forward_blocks(const LlamaShard& shard, std::span<float> hidden, std::span<const Segment> segments, LlamaWorkspace& workspace,
                    Group& group, Pool& pool) {
  const LlamaConfig& config = shard.config;
  std::int64_t rows = 0;
  for (const Segment& segment : segments) {
    ensure(segment.position >= 0 && segment.rows > 0 && segment.rows <= segment.cache->positions() - segment.position,
           "positions beyond the cache");
    rows += segment.rows;
  }
  ensure(rows > 0 && rows <= workspace.rows_max(), "more rows than the workspace holds");
  ensure(static_cast<std::int64_t>(hidden.size()) == rows * config.width, "a residual stream of another size");
  ensure(static_cast<std::int64_t>(shard.blocks.size()) == config.layers, "another number of blocks than layers");
  Buffers& b = workspace.buffers();
  for (RopeTable* table : {&b.rope, &b.window_rope}) {
    std::size_t at = 0;
    for (const Segment& segment : segments) {
      rope_table(table->frequencies, segment.position, segment.rows, std::span(table->cosine).subspan(at), std::span(table->sine).subspan(at), table->magnitude);
      at += static_cast<std::size_t>(segment.rows) * table->frequencies.size();
    }
  }
  const Inference inference(shard, rows, segments, b, group, pool);
  llama_blocks(inference, hidden, config.layers);
}

void final_norm(const LlamaEnds& ends, const LlamaConfig& config, std::span<const float> hidden, std::span<float> normed, Pool& pool) {
  rms_norm(hidden, rows_of(config, hidden), ends.output_norm.floats(), config.norm_epsilon, normed, pool);
}

void logits(const LlamaEnds& ends, const LlamaConfig& config, std::span<float> hidden, std::span<float> result, Pool& pool) {
  const Head head{config, rows_of(config, hidden), pool};
  llama_head(head, hidden, ends.output_norm.floats(), Product{ends.output, kNone, result});
  if (config.logit_cap > 0) soft_cap(config.logit_cap, result, pool);
}

}  // namespace starling::core

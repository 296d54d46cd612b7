// Decoders of the Llama kind (Touvron et al. 2023; grouped-query attention, gated feed-forward parts, rotary embeddings)
// and what other families vary of them: the configuration, the weights, and the forward pass over an abstract Group (the
// equation: llama_equation.h; the families: families/all.def).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/group.h"
#include "core/models/rope_scaling.h"
#include "core/ops/rope.h"
#include "core/pool.h"
#include "core/tensor.h"
#include "core/text/vocabulary.h"

namespace starling::core {

struct LlamaConfig {
  std::int64_t width = 0;       // D, the residual stream
  std::int64_t layers = 0;
  std::int64_t heads = 0;       // query heads
  std::int64_t kv_heads = 0;    // divides heads
  std::int64_t head_size = 0;   // even; heads * head_size may differ from width
  std::int64_t ffn = 0;         // inner width of the feed-forward part, or of each expert
  std::int64_t vocabulary = 0;
  std::int64_t context = 0;     // positions the model was made for
  float norm_epsilon = 1e-5f;
  float rope_base = 10000.0f;
  std::vector<double> rope_divisors;  // empty, or one divisor of each rotary frequency
  bool tied = false;            // the head is the embedding

  // What families vary; the defaults are Llama's. Files' readers fill it in, nothing else asks for the family.
  std::string family = "llama";  // a name of families/all.def
  RopeScaling rope_scaling = {};  // where rope_divisors and rope_magnitude come from, for files to say it again
  double rope_magnitude = 1;     // of the cosines and sines
  std::int64_t rotated = 0;      // dimensions of a head that turn; 0: all
  Pairing pairing = Pairing::interleaved;
  std::vector<std::int64_t> windows = {};  // empty, or what each layer sees: that many positions, 0 all
  float window_rope_base = 0;    // base in layers with a window, with neither divisors nor magnitude; 0: as the others
  float attention_scale = 0;     // of scores; 0: head_size^-1/2
  float attention_cap = 0;       // soft cap of scores; 0: none
  float logit_cap = 0;           // soft cap of logits; 0: none
  float embedding_scale = 1;
  bool gelu = false;             // the feed-forward part's activation: GELU in its tanh form, not SiLU
  bool qk_norm = false;          // every head of query and key is normalised before it turns
  bool post_norms = false;       // what attention and feed-forward part give is normalised before it is added
  bool qkv_bias = false, output_bias = false, ffn_bias = false;
  std::int64_t experts = 0;      // 0: one dense feed-forward part
  std::int64_t experts_used = 0;
  bool experts_normalised = false;  // the weights of the used experts add up to one
  std::int64_t shared_ffn = 0;   // inner width of an expert that all rows pass; 0: none

  std::int64_t rotated_dimensions() const { return rotated > 0 ? rotated : head_size; }
  std::int64_t window(std::int64_t layer) const { return windows.empty() ? 0 : windows[static_cast<std::size_t>(layer)]; }

  friend bool operator==(const LlamaConfig&, const LlamaConfig&) = default;
};

/// Kind::malformed naming the field when a value is impossible (zero, odd head size, kv_heads not dividing
/// heads, absurdly large).
void validate(const LlamaConfig& config, const std::string& source);

/// One gated feed-forward part.
struct LlamaExpert {
  Tensor gate, up;  // {ffn, D}
  Tensor down;      // {D, ffn}
};

/// One block's tensors, or a rank's slice of them, matrices out x in. Which of them a model has, and their shapes and
/// names, is said in llama_parts.h. A slice may be empty (a rank without attention or feed-forward work).
struct LlamaBlock {
  Tensor attention_norm;                // {D}
  Tensor query, key, value;             // {heads * head_size, D}, {kv_heads * head_size, D} twice
  Tensor attention_output;              // {D, heads * head_size}
  Tensor ffn_norm;                      // {D}
  Tensor gate, up;                      // {ffn, D}; none where there are experts
  Tensor down;                          // {D, ffn}

  Tensor query_bias = {}, key_bias = {}, value_bias = {}, output_bias = {};
  Tensor query_norm = {}, key_norm = {};                    // {head_size}, the same for all heads
  Tensor attention_post_norm = {}, ffn_post_norm = {};      // {D}
  Tensor gate_bias = {}, up_bias = {}, down_bias = {};
  Tensor router = {};                                       // {experts, D}
  std::vector<LlamaExpert> experts = {};
  LlamaExpert shared = {};                                  // of shared_ffn columns
  Tensor shared_router = {};                                // {1, D}
};

/// What only the master holds.
struct LlamaEnds {
  Tensor embedding;    // {vocabulary, D}
  Tensor output_norm;  // {D}
  Tensor output;       // {vocabulary, D}; shares the embedding's bytes when tied
};

struct LlamaModel {
  std::string name;
  LlamaConfig config;
  LlamaEnds ends;
  std::vector<LlamaBlock> blocks;
  Vocabulary vocabulary;
};

/// Partial sums are made of fixed units of their input, so that any partition adds the same terms
/// (exactness rule 2): one kv group of attention columns, `ffn_unit` feed-forward columns (the last unit
/// may be shorter).
struct LlamaUnits {
  std::int64_t attention_columns = 0;  // heads / kv_heads * head_size
  std::int64_t ffn_columns = 0;        // a multiple of 32
};
LlamaUnits units(const LlamaConfig& config);

/// The part of every layer that one rank computes: kv heads [kv_begin, kv_end) with their query heads, and
/// feed-forward columns [ffn_begin, ffn_end). Begins are multiples of the unit.
struct LlamaSlice {
  std::int64_t kv_begin = 0, kv_end = 0;
  std::int64_t ffn_begin = 0, ffn_end = 0;

  friend bool operator==(const LlamaSlice&, const LlamaSlice&) = default;
};
LlamaSlice whole(const LlamaConfig& config);

/// The columns [begin, end) of the shared expert that belong to a slice: as large a part of its units as the slice has
/// of the others, so that slices that add up to the whole do so here too.
struct ColumnRange {
  std::int64_t begin = 0, end = 0;
};
ColumnRange shared_columns(const LlamaConfig& config, const LlamaSlice& slice);

/// The matrices of `block` cut to `slice`: rows of query/key/value/gate/up (shared bytes where whole),
/// columns of attention_output/down (copied unless whole), with the whole of every block at their ends. A
/// column-cut matrix whose unit cuts 32 columns of a block is first expanded to F32, in a single process too, so that
/// all plans see equal numbers.
LlamaBlock cut(const LlamaBlock& block, const LlamaConfig& config, const LlamaSlice& slice);
/// The column of a cut matrix that is column `begin`, the slice's first, of the model's.
std::int64_t first_column(const Tensor& held, std::int64_t begin);

/// Keys and values of one sequence for one slice of the model. Types: f32, f16, q8_0 (rows of head_size).
class KvCache {
 public:
  /// Kind::usage if `type` cannot hold rows of head_size.
  KvCache(const LlamaConfig& config, const LlamaSlice& slice, Type type, std::int64_t positions);
  std::uint64_t bytes() const;
  std::int64_t positions() const { return positions_; }
  Type type() const { return type_; }
  /// Row of head_size values; `head` counts from the slice's first kv head.
  std::span<std::byte> key(std::int64_t layer, std::int64_t head, std::int64_t position);
  std::span<std::byte> value(std::int64_t layer, std::int64_t head, std::int64_t position);
  /// Takes over the first `count` positions of a cache of the same model, slice, type and size.
  void copy_from(const KvCache& other, std::int64_t count);

 private:
  Type type_;
  std::int64_t positions_, layers_, heads_, row_bytes_;
  Tensor keys_, values_;
};

/// Buffers of one forward pass, allocated once for `rows_max` rows: the per-token path allocates nothing.
class LlamaWorkspace {
 public:
  LlamaWorkspace(const LlamaConfig& config, const LlamaSlice& slice, std::int64_t rows_max);
  ~LlamaWorkspace();
  LlamaWorkspace(LlamaWorkspace&&) noexcept;

  struct Buffers;
  Buffers& buffers() { return *buffers_; }
  std::int64_t rows_max() const { return rows_max_; }

 private:
  std::int64_t rows_max_;
  std::unique_ptr<Buffers> buffers_;
};

struct LlamaShard {
  const LlamaConfig& config;
  const LlamaSlice& slice;
  std::span<const LlamaBlock> blocks;  // already cut to `slice`
  Sum sum = Sum::exact;
};

/// Consecutive rows of a batch that belong to one sequence: its positions [position, position + rows).
struct Segment {
  KvCache* cache = nullptr;  // no two segments of a batch share one
  std::int64_t position = 0, rows = 0;
};

/// hidden: {rows, D}, the residual stream of the segments one after the other, replicated on every rank and
/// updated in place; keys and values of their positions enter their caches. One product a matrix and two
/// all-reduces a layer serve all segments, and each has the bits it has alone. Kind::internal if a range exceeds
/// its cache or the rows the workspace; Kind::unsupported if a partial sum leaves the exact range (the message
/// names layer and value).
void forward_blocks(const LlamaShard& shard, std::span<float> hidden, std::span<const Segment> segments,
                    LlamaWorkspace& workspace, Group& group, Pool& pool);

/// hidden[i] = embedding row of tokens[i], scaled. Kind::usage for an id outside the vocabulary.
void embed(const LlamaEnds& ends, const LlamaConfig& config, std::span<const TokenId> tokens, std::span<float> hidden);

/// normed: {rows, D}, rows of the residual stream as the head takes them; may be `hidden` itself.
void final_norm(const LlamaEnds& ends, const LlamaConfig& config, std::span<const float> hidden, std::span<float> normed,
                Pool& pool);

/// logits {rows, vocabulary} of rows of the residual stream, which final_norm replaces in place.
void logits(const LlamaEnds& ends, const LlamaConfig& config, std::span<float> hidden, std::span<float> result,
            Pool& pool);

}  // namespace starling::core

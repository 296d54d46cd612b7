#include "core/models/llama_parts.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/quant/sub_blocks.h"

namespace starling::core {
namespace {

using B = LlamaBlock;
using E = LlamaExpert;
using Part = BlockPart;
using C = const LlamaConfig&;

constexpr bool (*kAlways)(C) = [](C) { return true; };
constexpr bool (*kDense)(C) = [](C c) { return c.experts == 0; };
constexpr bool (*kExperts)(C) = [](C c) { return c.experts > 0; };
constexpr bool (*kShared)(C) = [](C c) { return c.shared_ffn > 0; };
constexpr bool (*kQkvBias)(C) = [](C c) { return c.qkv_bias; };
constexpr bool (*kOutputBias)(C) = [](C c) { return c.output_bias; };
constexpr bool (*kFfnBias)(C) = [](C c) { return c.ffn_bias; };
constexpr bool (*kQkNorm)(C) = [](C c) { return c.qk_norm; };
constexpr bool (*kPostNorms)(C) = [](C c) { return c.post_norms; };

constexpr Part own(std::string_view name, Tensor B::*member, Extent rows, Extent columns, bool (*present)(C), const char* gguf,
                   const char* hugging_face, Part::Kind kind = Part::Kind::matrix, Part::Turn turn = Part::Turn::none) {
  return {.name = name, .own = member, .rows = rows, .columns = columns, .present = present, .gguf = gguf, .hugging_face = hugging_face, .kind = kind, .turn = turn};
}
constexpr Part gain(std::string_view name, Tensor B::*member, Extent size, bool (*present)(C), const char* gguf, const char* hugging_face) {
  return own(name, member, Extent::none, size, present, gguf, hugging_face, Part::Kind::gain);
}
constexpr Part bias(std::string_view name, Tensor B::*member, Extent size, bool (*present)(C), const char* gguf, const char* hugging_face,
                    Part::Turn turn = Part::Turn::none) {
  return own(name, member, Extent::none, size, present, gguf, hugging_face, Part::Kind::bias, turn);
}
constexpr Part of_experts(std::string_view name, Tensor E::*member, Extent rows, Extent columns, const char* gguf, const char* hugging_face) {
  return {.name = name, .of_experts = member, .rows = rows, .columns = columns, .present = kExperts, .gguf = gguf, .hugging_face = hugging_face};
}
constexpr Part of_shared(std::string_view name, Tensor E::*member, Extent rows, Extent columns, const char* gguf, const char* hugging_face) {
  return {.name = name, .of_shared = member, .rows = rows, .columns = columns, .present = kShared, .gguf = gguf, .hugging_face = hugging_face};
}

constexpr Extent kWidth = Extent::width, kQuery = Extent::query, kKv = Extent::kv, kFfn = Extent::ffn, kSharedFfn = Extent::shared;
constexpr Part::Kind kMatrix = Part::Kind::matrix, kRouter = Part::Kind::router;

constexpr std::array kParts{
    gain("attention_norm", &B::attention_norm, kWidth, kAlways, "attn_norm.weight", "input_layernorm.weight"),
    own("query", &B::query, kQuery, kWidth, kAlways, "attn_q.weight", "self_attn.q_proj.weight", kMatrix, Part::Turn::query),
    own("key", &B::key, kKv, kWidth, kAlways, "attn_k.weight", "self_attn.k_proj.weight", kMatrix, Part::Turn::key),
    own("value", &B::value, kKv, kWidth, kAlways, "attn_v.weight", "self_attn.v_proj.weight"),
    own("attention_output", &B::attention_output, kWidth, kQuery, kAlways, "attn_output.weight", "self_attn.o_proj.weight"),
    gain("ffn_norm", &B::ffn_norm, kWidth, kAlways, "ffn_norm.weight", "post_attention_layernorm.weight"),
    own("gate", &B::gate, kFfn, kWidth, kDense, "ffn_gate.weight", "mlp.gate_proj.weight"),
    own("up", &B::up, kFfn, kWidth, kDense, "ffn_up.weight", "mlp.up_proj.weight"),
    own("down", &B::down, kWidth, kFfn, kDense, "ffn_down.weight", "mlp.down_proj.weight"),
    bias("query_bias", &B::query_bias, kQuery, kQkvBias, "attn_q.bias", "self_attn.q_proj.bias", Part::Turn::query),
    bias("key_bias", &B::key_bias, kKv, kQkvBias, "attn_k.bias", "self_attn.k_proj.bias", Part::Turn::key),
    bias("value_bias", &B::value_bias, kKv, kQkvBias, "attn_v.bias", "self_attn.v_proj.bias"),
    bias("output_bias", &B::output_bias, kWidth, kOutputBias, "attn_output.bias", "self_attn.o_proj.bias"),
    gain("query_norm", &B::query_norm, Extent::head, kQkNorm, "attn_q_norm.weight", "self_attn.q_norm.weight"),
    gain("key_norm", &B::key_norm, Extent::head, kQkNorm, "attn_k_norm.weight", "self_attn.k_norm.weight"),
    gain("attention_post_norm", &B::attention_post_norm, kWidth, kPostNorms, "post_attention_norm.weight", "post_attention_layernorm.weight"),
    gain("ffn_post_norm", &B::ffn_post_norm, kWidth, kPostNorms, "post_ffw_norm.weight", "post_feedforward_layernorm.weight"),
    bias("gate_bias", &B::gate_bias, kFfn, kFfnBias, "ffn_gate.bias", "mlp.gate_proj.bias"),
    bias("up_bias", &B::up_bias, kFfn, kFfnBias, "ffn_up.bias", "mlp.up_proj.bias"),
    bias("down_bias", &B::down_bias, kWidth, kFfnBias, "ffn_down.bias", "mlp.down_proj.bias"),
    own("router", &B::router, Extent::experts, kWidth, kExperts, "ffn_gate_inp.weight", "mlp.gate.weight", kRouter),
    of_experts("expert_gate", &E::gate, kFfn, kWidth, "ffn_gate_exps.weight", "mlp.experts.{}.gate_proj.weight"),
    of_experts("expert_up", &E::up, kFfn, kWidth, "ffn_up_exps.weight", "mlp.experts.{}.up_proj.weight"),
    of_experts("expert_down", &E::down, kWidth, kFfn, "ffn_down_exps.weight", "mlp.experts.{}.down_proj.weight"),
    own("shared_router", &B::shared_router, Extent::one, kWidth, kShared, "ffn_gate_inp_shexp.weight", "mlp.shared_expert_gate.weight", kRouter),
    of_shared("shared_gate", &E::gate, kSharedFfn, kWidth, "ffn_gate_shexp.weight", "mlp.shared_expert.gate_proj.weight"),
    of_shared("shared_up", &E::up, kSharedFfn, kWidth, "ffn_up_shexp.weight", "mlp.shared_expert.up_proj.weight"),
    of_shared("shared_down", &E::down, kWidth, kSharedFfn, "ffn_down_shexp.weight", "mlp.shared_expert.down_proj.weight"),
};

std::int64_t size_of(Extent extent, const LlamaConfig& c, const LlamaSlice& slice) {
  const std::int64_t kv = slice.kv_end - slice.kv_begin;
  switch (extent) {
    case Extent::none: break;
    case Extent::one: return 1;
    case Extent::width: return c.width;
    case Extent::head: return c.head_size;
    case Extent::experts: return c.experts;
    case Extent::query: return kv * units(c).attention_columns;
    case Extent::kv: return kv * c.head_size;
    case Extent::ffn: return slice.ffn_end - slice.ffn_begin;
    case Extent::shared: {
      const ColumnRange range = shared_columns(c, slice);
      return range.end - range.begin;
    }
  }
  fail(Kind::internal, "a tensor's extent without a size");
}

}  // namespace

std::span<const BlockPart> block_parts() { return kParts; }

std::int64_t copies(const BlockPart& part, const LlamaConfig& config) {
  if (!part.present(config)) return 0;
  return part.of_experts ? config.experts : 1;
}

Shape part_shape(const BlockPart& part, const LlamaConfig& config, const LlamaSlice& slice) {
  const std::int64_t columns = size_of(part.columns, config, slice);
  return part.is_vector() ? Shape{columns} : Shape{size_of(part.rows, config, slice), columns};
}

Tensor& member(LlamaBlock& block, const BlockPart& part, std::int64_t copy) {
  if (part.own) return block.*part.own;
  return part.of_shared ? block.shared.*part.of_shared : block.experts[static_cast<std::size_t>(copy)].*part.of_experts;
}

const Tensor& member(const LlamaBlock& block, const BlockPart& part, std::int64_t copy) {
  return member(const_cast<LlamaBlock&>(block), part, copy);
}

Type slice_type(const BlockPart& part, const LlamaConfig& config, Type type) {
  const std::int64_t unit = unit_columns(part, config);
  return unit % std::min<std::int64_t>(info(type).block_length, kSubBlock) == 0 ? type : Type::f32;
}

ColumnRange slice_columns(const BlockPart& part, const LlamaConfig& config, const LlamaSlice& slice) {
  const std::int64_t q = units(config).attention_columns, kv = config.head_size;
  switch (part.columns) {
    case Extent::query: return {slice.kv_begin * q, slice.kv_end * q};
    case Extent::kv: return {slice.kv_begin * kv, slice.kv_end * kv};
    case Extent::shared: return shared_columns(config, slice);
    case Extent::ffn: return {slice.ffn_begin, slice.ffn_end};
    default: return {0, size_of(part.columns, config, slice)};
  }
}

ColumnRange whole_blocks(const ColumnRange& range, Type type) {
  const std::int64_t length = info(type).block_length, begin = range.begin / length * length;
  return {begin, range.begin == range.end ? begin : (range.end + length - 1) / length * length};
}

Shape slice_shape(const BlockPart& part, const LlamaConfig& config, const LlamaSlice& slice, Type type) {
  Shape shape = part_shape(part, config, slice);
  if (unit_columns(part, config) == 0) return shape;
  const ColumnRange held = whole_blocks(slice_columns(part, config, slice), type);
  shape.back() = held.end - held.begin;
  return shape;
}

std::int64_t unit_columns(const BlockPart& part, const LlamaConfig& config) {
  if (part.is_vector() || part.columns < Extent::query) return 0;
  return part.columns == Extent::query ? units(config).attention_columns : units(config).ffn_columns;
}

}  // namespace starling::core

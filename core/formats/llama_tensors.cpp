#include "core/formats/llama_tensors.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "core/quant/blocks.h"

namespace starling::core {
namespace {

using Role = BlockTensor::Role;

constexpr std::array<BlockTensor, 9> kBlockTensors{{
    {&LlamaBlock::attention_norm, "attn_norm", "input_layernorm", Role::norm},
    {&LlamaBlock::query, "attn_q", "self_attn.q_proj", Role::query},
    {&LlamaBlock::key, "attn_k", "self_attn.k_proj", Role::key},
    {&LlamaBlock::value, "attn_v", "self_attn.v_proj", Role::matrix},
    {&LlamaBlock::attention_output, "attn_output", "self_attn.o_proj", Role::matrix},
    {&LlamaBlock::ffn_norm, "ffn_norm", "post_attention_layernorm", Role::norm},
    {&LlamaBlock::gate, "ffn_gate", "mlp.gate_proj", Role::matrix},
    {&LlamaBlock::up, "ffn_up", "mlp.up_proj", Role::matrix},
    {&LlamaBlock::down, "ffn_down", "mlp.down_proj", Role::matrix},
}};

Tensor expect(const TensorLookup& find, const std::string& name, const Shape& shape, const std::string& source) {
  const auto tensor = find(name);
  check(tensor.has_value(), Kind::malformed, "{}: tensor {} is missing", source, name);
  check(tensor->shape() == shape, Kind::malformed, "{}: tensor {} has shape [{}], the configuration asks for [{}]",
        source, name, fmt::join(tensor->shape(), ", "), fmt::join(shape, ", "));
  return *tensor;
}

}  // namespace

std::span<const BlockTensor> block_tensors() { return kBlockTensors; }

Shape block_shape(const LlamaConfig& c, const BlockTensor& tensor) {
  const std::int64_t attention = c.heads * c.head_size, kv = c.kv_heads * c.head_size;
  if (tensor.role == Role::norm) return {c.width};
  if (tensor.member == &LlamaBlock::query) return {attention, c.width};
  if (tensor.member == &LlamaBlock::key || tensor.member == &LlamaBlock::value) return {kv, c.width};
  if (tensor.member == &LlamaBlock::attention_output) return {c.width, attention};
  if (tensor.member == &LlamaBlock::down) return {c.width, c.ffn};
  return {c.ffn, c.width};
}

TensorNames gguf_names() {
  return {"token_embd.weight", "output_norm.weight", "output.weight",
          [](std::int64_t layer, const BlockTensor& t) { return fmt::format("blk.{}.{}.weight", layer, t.gguf); }};
}

void fill_tensors(LlamaModel& model, const TensorNames& names, const TensorLookup& find, const std::string& source) {
  const LlamaConfig& c = model.config;
  model.ends.embedding = expect(find, names.embedding, {c.vocabulary, c.width}, source);
  model.ends.output_norm = to_float(expect(find, names.output_norm, {c.width}, source));
  model.ends.output = c.tied ? model.ends.embedding : expect(find, names.output, {c.vocabulary, c.width}, source);
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    LlamaBlock block;
    for (const BlockTensor& t : kBlockTensors) {
      const Tensor tensor = expect(find, names.block(layer, t), block_shape(c, t), source);
      block.*t.member = t.role == Role::norm ? to_float(tensor) : tensor;
    }
    model.blocks.push_back(std::move(block));
  }
}

void refuse_unknown_tensors(std::span<const std::string> present, const LlamaConfig& config, const TensorNames& names,
                            std::span<const std::string_view> ignored, const std::string& source) {
  std::unordered_set<std::string> known{names.embedding, names.output_norm, names.output};
  for (std::int64_t layer = 0; layer < config.layers; ++layer)
    for (const BlockTensor& t : kBlockTensors) known.insert(names.block(layer, t));
  for (const std::string& name : present) {
    const bool harmless = std::any_of(ignored.begin(), ignored.end(), [&](auto end) { return name.ends_with(end); });
    check(harmless || known.contains(name), Kind::unsupported, "{}: tensor {} is no part of a plain Llama model", source,
          name);
  }
}

}  // namespace starling::core

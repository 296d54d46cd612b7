#include "core/quant/mixture.h"

#include <array>
#include <charconv>

#include "core/error.h"

namespace starling::core {
namespace {

using Rule = Mixture::Rule;

constexpr std::array kMixtures = std::to_array<Mixture>({
    {"f32", Type::f32, 0},
    {"f16", Type::f16, 1},
    {"bf16", Type::bf16, 32},
    {"q8_0", Type::q8_0, 7},
    {"q4_0", Type::q4_0, 2},
    {"q4_1", Type::q4_1, 3},
    {"q5_0", Type::q5_0, 8},
    {"q5_1", Type::q5_1, 9},
    {"q2_k", Type::q2_k, 10, Rule::q2_k},
    {"q3_k_s", Type::q3_k, 11},
    {"q3_k_m", Type::q3_k, 12, Rule::q3_k_m},
    {"q3_k_l", Type::q3_k, 13, Rule::q3_k_l},
    {"q4_k_s", Type::q4_k, 14, Rule::q4_k_s},
    {"q4_k_m", Type::q4_k, 15, Rule::more_bits},
    {"q5_k_s", Type::q5_k, 16},
    {"q5_k_m", Type::q5_k, 17, Rule::more_bits},
    {"q6_k", Type::q6_k, 18},
    // One type without exceptions of single layers; files name them as the mixtures that come nearest.
    {"q3_k", Type::q3_k, 11},
    {"q4_k", Type::q4_k, 14},
    {"q5_k", Type::q5_k, 16},
});

/// Layers whose attn_v and ffn_down get more bits: the first and last eighth and every third between.
bool more_bits(std::int64_t layer, std::int64_t layers) {
  const std::int64_t eighth = layers / 8;
  return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

/// 0 for tensors of no layer.
std::int64_t layer_of(std::string_view name) {
  std::int64_t layer = 0;
  if (name.starts_with("blk.")) std::from_chars(name.data() + 4, name.data() + name.size(), layer);
  return layer;
}

bool is_quantised(std::string_view name, const Shape& shape) {
  constexpr std::array<std::string_view, 3> kNever{"_norm.weight", "ffn_gate_inp.weight", "ssm_conv1d"};
  for (const std::string_view part : kNever)
    if (name.find(part) != std::string_view::npos) return false;
  return shape.size() >= 2 && name.ends_with(".weight") && name != "position_embd.weight" && name != "token_types.weight";
}

bool is_70b(const MixtureModel& m) {
  return m.layers == 80 && ((m.architecture == "llama" && m.heads != m.kv_heads) || m.architecture == "qwen2");
}

Type value_type(const Mixture& x, std::int64_t layer, const MixtureModel& m) {
  Type type = x.type;
  if (x.rule == Rule::q2_k) type = m.kv_heads > 0 && m.heads / m.kv_heads >= 4 ? Type::q4_k : Type::q3_k;
  if (x.rule == Rule::q3_k_m) type = layer < 2 ? Type::q5_k : Type::q4_k;
  if (x.rule == Rule::q3_k_l) type = Type::q5_k;
  if (x.rule == Rule::q4_k_s && layer < 4) type = Type::q5_k;
  if (x.rule == Rule::more_bits && more_bits(layer, m.layers)) type = Type::q6_k;
  if (is_70b(m) && (type == Type::q3_k || type == Type::q4_k)) type = Type::q5_k;
  return m.experts == 8 ? Type::q8_0 : type;
}

Type down_type(const Mixture& x, std::int64_t layer, const MixtureModel& m) {
  if (x.rule == Rule::q2_k) return Type::q3_k;
  if (x.rule == Rule::q3_k_m) return layer < m.layers / 16 ? Type::q5_k : Type::q4_k;
  if (x.rule == Rule::q3_k_l) return Type::q5_k;
  if (x.rule == Rule::q4_k_s && layer < m.layers / 8) return Type::q5_k;
  if (x.rule == Rule::more_bits && more_bits(layer, m.layers)) return Type::q6_k;
  return x.type;
}

Type attention_output_type(const Mixture& x, const MixtureModel& m) {
  if (m.experts == 8) {
    const bool small = x.file_type >= 10 && x.file_type <= 15 && x.rule != Rule::q3_k_l;  // Q2_K to Q4_K_M
    return small ? Type::q5_k : x.type;
  }
  if (x.rule == Rule::q2_k) return Type::q3_k;
  if (x.rule == Rule::q3_k_m) return Type::q4_k;
  return x.rule == Rule::q3_k_l ? Type::q5_k : x.type;
}

/// What holds rows that the blocks of `type` do not divide.
Type fitting(Type type, std::int64_t columns) {
  if (columns % info(type).block_length == 0) return type;
  switch (type) {
    case Type::q2_k:
    case Type::q3_k: type = Type::q4_0; break;
    case Type::q4_k: type = Type::q5_0; break;
    case Type::q5_k: type = Type::q5_1; break;
    case Type::q6_k: type = Type::q8_0; break;
    default: break;
  }
  return columns % info(type).block_length == 0 ? type : Type::f16;
}

}  // namespace

const Mixture* find_mixture(std::string_view name) {
  for (const Mixture& mixture : kMixtures)
    if (mixture.name == name) return &mixture;
  return nullptr;
}

std::string mixture_names() {
  std::string names;
  for (const Mixture& mixture : kMixtures) names += fmt::format("{}{}", names.empty() ? "" : " ", mixture.name);
  return names;
}

std::optional<Type> mixed_type(const Mixture& mixture, std::string_view name, const Shape& shape, const MixtureModel& model) {
  if (!is_quantised(name, shape)) return std::nullopt;
  if (info(mixture.type).block_length == 1) return mixture.type;
  const std::int64_t layer = layer_of(name);
  const auto is = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  Type type = mixture.type;
  if (name == "output.weight" || (name == "token_embd.weight" && !model.has_output))
    type = type == Type::q8_0 ? type : Type::q6_k;
  else if (is("attn_v.weight") || is("attn_qkv.weight") || is("attn_kv_b.weight"))
    type = value_type(mixture, layer, model);
  else if (is("attn_k.weight") && model.experts == 8)
    type = Type::q8_0;
  else if (is("attn_output.weight"))
    type = attention_output_type(mixture, model);
  else if (is("ffn_down"))
    type = down_type(mixture, layer, model);
  return fitting(type, shape.back());
}

}  // namespace starling::core

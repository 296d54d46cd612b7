// A small planted model of every family, with the logits that an independent implementation in F64 gives for it: those of
// 12 tokens t_j = (7 j + 3) mod 48 after the last one.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/models/family.h"
#include "tests/oracle/small_llama.h"

namespace starling::tests {

struct FamilyModel {
  std::string name;
  core::LlamaConfig config;
  std::size_t best = 0;
  double first[4] = {};
  double sum = 0;
};

inline core::LlamaConfig family_config(const char* family, std::int64_t head_size, float base, float epsilon) {
  core::LlamaConfig c;
  c.family = family;
  c.width = 64, c.layers = 2, c.heads = 4, c.kv_heads = 2, c.head_size = head_size, c.ffn = 96, c.vocabulary = 48, c.context = 1024;
  c.norm_epsilon = epsilon, c.rope_base = base;
  return c;
}

inline std::vector<FamilyModel> family_models() {
  using core::RopeScaling;
  std::vector<FamilyModel> result;
  const auto add = [&](std::string name, core::LlamaConfig c, std::size_t best, std::vector<double> first, double sum, auto vary) {
    core::family_named(c.family, "test").imply(c);
    vary(c);
    core::scale_rope(c, c.context, "test");
    FamilyModel m{std::move(name), std::move(c), best, {}, sum};
    std::copy_n(first.begin(), 4, m.first);
    result.push_back(std::move(m));
  };
  const auto as_implied = [](core::LlamaConfig&) {};
  const auto with_experts = [](core::LlamaConfig c, std::int64_t ffn) {
    c.experts = 4, c.experts_used = 2, c.ffn = ffn;
    return c;
  };
  add("llama", family_config("llama", 16, 5e5f, 1e-5f), 47, {-0.12953, -0.16727, 0.27541, -0.28479}, 12.55114,
      [](core::LlamaConfig& c) { c.rope_divisors = core::llama3_divisors(16, 5e5, 8, 1, 4, 8192); });
  add("llama, explicit head size", family_config("llama", 32, 1e6f, 1e-5f), 2, {0.14953, -0.13145, 2.83285, 0.47399}, 8.68266, as_implied);
  add("mixtral", with_experts(family_config("llama", 16, 1e6f, 1e-5f), 96), 43, {1.07942, -1.19467, 0.65936, 0.98849}, 3.10924, as_implied);
  add("qwen2", family_config("qwen2", 16, 1e6f, 1e-6f), 8, {1.40043, 0.41922, 0.81407, -0.34716}, -0.98507, as_implied);
  add("qwen2 with YaRN", family_config("qwen2", 16, 1e4f, 1e-6f), 8, {1.50409, 0.83619, 0.93766, -0.95442}, -6.19198, [](core::LlamaConfig& c) {
    c.rope_scaling.rule = RopeScaling::Rule::yarn, c.rope_scaling.factor = 4, c.rope_scaling.original_context = 64;
  });
  add("qwen3", family_config("qwen3", 32, 1e6f, 1e-6f), 34, {-1.08030, -0.41702, 0.65517, 2.34868}, -1.97639, [](core::LlamaConfig& c) { c.tied = true; });
  add("qwen3moe", with_experts(family_config("qwen3moe", 32, 1e6f, 1e-6f), 48), 1, {0.03858, 2.66512, 1.83708, 1.62911}, 8.49382, as_implied);
  add("qwen2moe", with_experts(family_config("qwen2moe", 16, 1e6f, 1e-6f), 48), 13, {1.79823, -0.88787, -0.44807, -1.32239}, 1.85542,
      [](core::LlamaConfig& c) { c.shared_ffn = 80; });
  add("gemma", family_config("gemma", 32, 1e4f, 1e-6f), 32, {-0.85627, -0.93706, -0.08504, 2.64885}, -2.92650, [](core::LlamaConfig& c) {
    c.kv_heads = 1, c.tied = true;
  });
  add("gemma2", family_config("gemma2", 32, 1e4f, 1e-6f), 32, {-1.19084, -0.58604, 0.86512, 2.96067}, 1.82342, [](core::LlamaConfig& c) {
    c.tied = true, c.windows = {4, 0};
  });
  core::LlamaConfig six = family_config("gemma3", 32, 1e6f, 1e-6f);
  six.layers = 6;
  add("gemma3", six, 32, {0.16744, 0.24385, -0.74295, -0.88647}, -4.99365, [](core::LlamaConfig& c) {
    c.tied = true, c.windows = {4, 4, 4, 4, 4, 0};
    c.rope_scaling = {.rule = RopeScaling::Rule::linear, .factor = 8};
  });
  add("phi3", family_config("phi3", 16, 1e4f, 1e-5f), 23, {0.80060, 0.58848, -0.27944, 0.80438}, -22.59402, [](core::LlamaConfig& c) {
    c.rotated = 12;
    c.rope_scaling.rule = RopeScaling::Rule::longrope, c.rope_scaling.original_context = 1024;
    c.rope_scaling.attention_factor = static_cast<double>(1.1902380714f);
    for (int p = 0; p < 6; ++p) {
      c.rope_scaling.short_divisors.push_back(static_cast<double>(static_cast<float>(1 + 0.1 * p)));
      c.rope_scaling.long_divisors.push_back(2 + 0.5 * p);
    }
  });
  return result;
}

/// The model whose tensors are planted under their names in GGUF; those of Phi-3 in fused ones.
inline core::LlamaModel planted_family(const core::LlamaConfig& c) {
  core::LlamaModel m = planted_llama(c);
  if (c.family != "phi3") return m;
  const std::int64_t q = c.heads * c.head_size, kv = c.kv_heads * c.head_size;
  for (std::size_t layer = 0; layer < m.blocks.size(); ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    const core::Tensor qkv = planted_tensor(prefix + "attn_qkv.weight", {q + 2 * kv, c.width});
    const core::Tensor gate_up = planted_tensor(prefix + "ffn_up.weight", {2 * c.ffn, c.width});
    core::LlamaBlock& b = m.blocks[layer];
    b.query = qkv.slice_rows(0, q), b.key = qkv.slice_rows(q, q + kv), b.value = qkv.slice_rows(q + kv, q + 2 * kv);
    b.gate = gate_up.slice_rows(0, c.ffn), b.up = gate_up.slice_rows(c.ffn, 2 * c.ffn);
  }
  return m;
}

inline std::vector<core::TokenId> family_tokens(std::size_t count) {
  std::vector<core::TokenId> tokens;
  for (std::size_t j = 0; j < count; ++j) tokens.push_back(static_cast<core::TokenId>((7 * j + 3) % 48));
  return tokens;
}

/// Logits after the last of `tokens`, computed alone in one chunk with a cache in F32.
inline std::vector<float> family_logits(const core::LlamaModel& m, std::span<const core::TokenId> tokens) {
  Runner runner(m, core::whole(m.config), core::Type::f32, static_cast<std::int64_t>(tokens.size()));
  core::Alone alone;
  std::vector<float> hidden = runner.forward(tokens, 0, alone), result(static_cast<std::size_t>(m.config.vocabulary));
  core::logits(m.ends, m.config, std::span(hidden).last(static_cast<std::size_t>(m.config.width)), result, runner.pool);
  return result;
}

}  // namespace starling::tests

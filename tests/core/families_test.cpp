// Every family of decoders against golden logits, in both layouts of files, in chunks, in batches and cut over ranks.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <numeric>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/formats/gguf_llama.h"
#include "core/formats/hugging_face.h"
#include "core/formats/llama_tensors.h"
#include "core/formats/safetensors.h"
#include "core/models/load.h"
#include "tests/core/small_model.h"
#include "tests/oracle/fake_group.h"
#include "tests/oracle/family_models.h"

using namespace starling::core;
using namespace starling::tests;

namespace {

const LoadOptions kNoVocabulary{.tokenizer = {}, .vocabulary_optional = true};

/// config.json as Hugging Face has it for such a model.
nlohmann::json config_json(const LlamaConfig& c) {
  const Family& family = family_named(c.family, "test");
  nlohmann::json j = {{"architectures", {c.family == "llama" && c.experts > 0 ? "MixtralForCausalLM" : std::string(family.classes[0])}},
                      {"hidden_size", c.width}, {"num_hidden_layers", c.layers}, {"num_attention_heads", c.heads}, {"num_key_value_heads", c.kv_heads},
                      {"head_dim", c.head_size}, {"intermediate_size", c.ffn}, {"vocab_size", c.vocabulary}, {"max_position_embeddings", c.context},
                      {"rms_norm_eps", c.norm_epsilon}, {"rope_theta", c.rope_base}, {"tie_word_embeddings", c.tied}};
  if (c.gelu) j["hidden_activation"] = "gelu_pytorch_tanh";
  if (c.experts > 0) {
    j[c.family == "llama" ? "num_local_experts" : "num_experts"] = c.experts;
    j["num_experts_per_tok"] = c.experts_used;
    if (c.family != "llama") j["moe_intermediate_size"] = c.ffn, j["norm_topk_prob"] = c.experts_normalised;
    if (c.shared_ffn > 0) j["shared_expert_intermediate_size"] = c.shared_ffn;
  }
  if (!c.windows.empty()) {
    j["sliding_window"] = 4;
    for (const std::int64_t window : c.windows) j["layer_types"].push_back(window > 0 ? "sliding_attention" : "full_attention");
  }
  if (c.attention_cap > 0) j["attn_logit_softcapping"] = c.attention_cap, j["final_logit_softcapping"] = c.logit_cap, j["query_pre_attn_scalar"] = c.head_size;
  if (c.window_rope_base > 0) j["rope_local_base_freq"] = c.window_rope_base;
  const RopeScaling& s = c.rope_scaling;
  if (s.rule == RopeScaling::Rule::yarn) j["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", s.factor}, {"original_max_position_embeddings", s.original_context}};
  if (s.rule == RopeScaling::Rule::linear) j["rope_scaling"] = {{"rope_type", "linear"}, {"factor", s.factor}};
  if (s.rule == RopeScaling::Rule::longrope) {
    j["partial_rotary_factor"] = static_cast<double>(c.rotated) / static_cast<double>(c.head_size);
    j["original_max_position_embeddings"] = s.original_context;
    j["rope_scaling"] = {{"type", "longrope"}, {"short_factor", s.short_divisors}, {"long_factor", s.long_divisors}, {"attention_factor", s.attention_factor}};
  }
  if (s.rule == RopeScaling::Rule::none && !c.rope_divisors.empty())
    j["rope_scaling"] = {{"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 1}, {"high_freq_factor", 4}, {"original_max_position_embeddings", 8192}};
  return j;
}

/// The folder of the model as Hugging Face keeps it: rows of halves, gains less one, Phi-3's matrices in one.
void write_folder(const std::filesystem::path& folder, LlamaModel m) {
  std::filesystem::create_directories(folder);
  const LlamaConfig& c = m.config;
  const Family& family = family_named(c.family, "test");
  const auto less_one = [&](Tensor& gain) {
    std::vector<float> values(gain.floats().begin(), gain.floats().end());
    for (float& v : values) v -= 1;
    gain = Tensor::from_floats(gain.shape(), values);
  };
  if (family.gains_less_one) {
    less_one(m.ends.output_norm);
    for (LlamaBlock& block : m.blocks)
      each_part(c, [&](const BlockPart& part, std::int64_t copy) {
        if (part.kind == BlockPart::Kind::gain) less_one(member(block, part, copy));
      });
  }
  std::function<RowOrder(std::int64_t)> order;
  if (family.turns_rows) order = [&](std::int64_t) { return rows_to_hugging_face(c.head_size); };
  std::vector<Outgoing> tensors = outgoing_tensors(m, hugging_face_names(c), Type::f32, order);
  if (c.family == "phi3") {
    std::erase_if(tensors, [](const Outgoing& t) {
      return t.name.ends_with("q_proj.weight") || t.name.ends_with("k_proj.weight") || t.name.ends_with("v_proj.weight") || t.name.ends_with("gate_proj.weight") ||
             t.name.ends_with("up_proj.weight");
    });
    for (std::int64_t layer = 0; layer < c.layers; ++layer) {
      const std::string ours = fmt::format("blk.{}.", layer), theirs = fmt::format("model.layers.{}.", layer);
      tensors.push_back(outgoing(theirs + "self_attn.qkv_proj.weight", planted_tensor(ours + "attn_qkv.weight", {128, 64}), Type::f32));
      tensors.push_back(outgoing(theirs + "mlp.gate_up_proj.weight", planted_tensor(ours + "ffn_up.weight", {192, 64}), Type::f32));
    }
  }
  write_safetensors(folder / "model.safetensors", {}, tensors);
  std::ofstream(folder / "config.json") << config_json(c);
}

}  // namespace

TEST_CASE("a planted model of every family gives the published logits") {
  const auto tokens = family_tokens(12);
  for (const FamilyModel& f : family_models()) {
    CAPTURE(f.name);
    const auto result = family_logits(planted_family(f.config), tokens);
    CHECK(static_cast<std::size_t>(std::max_element(result.begin(), result.end()) - result.begin()) == f.best);
    for (std::size_t i = 0; i < 4; ++i) {
      CAPTURE(i);
      CHECK(std::abs(static_cast<double>(result[i]) - f.first[i]) <= 1e-4);
    }
    CHECK(std::abs(std::accumulate(result.begin(), result.end(), 0.0) - f.sum) <= 2e-4);
  }
}

TEST_CASE("a model of every family is the same one through GGUF and through the layout of Hugging Face") {
  const Folder folder;
  const auto tokens = family_tokens(12);
  for (const FamilyModel& f : family_models()) {
    CAPTURE(f.name);
    const LlamaModel m = planted_family(f.config);
    const auto expected = family_logits(m, tokens);
    save_gguf(folder / "a.gguf", m, Type::f32);
    const LlamaModel gguf = load_model(folder / "a.gguf", kNoVocabulary);
    CHECK(gguf.config == f.config);
    CHECK(same_numbers(gguf, m));
    CHECK(family_logits(gguf, tokens) == expected);
    write_folder(folder / "hf", m);
    const LlamaModel theirs = load_model(folder / "hf", kNoVocabulary);
    CHECK(same_numbers(theirs, m));
    CHECK(family_logits(theirs, tokens) == expected);
    // A converted folder says what the folder says.
    save_gguf(folder / "b.gguf", theirs, Type::f32);
    CHECK(family_logits(load_model(folder / "b.gguf", kNoVocabulary), tokens) == expected);
    std::filesystem::remove_all(folder / "hf");
  }
}

TEST_CASE("a GGUF file may keep query, key and value, and gate and up, in one tensor each") {
  const Folder folder;
  for (const FamilyModel& f : family_models()) {
    if (f.name != "phi3") continue;
    const LlamaConfig& c = f.config;
    std::vector<Outgoing> tensors = gguf_rope_tensors(c);
    const auto add = [&](const std::string& name, const Shape& shape) { tensors.push_back(outgoing(name, planted_tensor(name, shape), Type::f32)); };
    add("token_embd.weight", {48, 64}), add("output_norm.weight", {64}), add("output.weight", {48, 64});
    for (std::int64_t layer = 0; layer < c.layers; ++layer) {
      const std::string blk = fmt::format("blk.{}.", layer);
      add(blk + "attn_norm.weight", {64}), add(blk + "attn_qkv.weight", {128, 64}), add(blk + "attn_output.weight", {64, 64});
      add(blk + "ffn_norm.weight", {64}), add(blk + "ffn_up.weight", {192, 64}), add(blk + "ffn_down.weight", {64, 96});
    }
    write_gguf(folder / "fused.gguf", gguf_metadata("fused", c, {}, Type::f32), tensors);
    const auto tokens = family_tokens(12);
    CHECK(family_logits(load_model(folder / "fused.gguf", kNoVocabulary), tokens) == family_logits(planted_family(c), tokens));
    // llama.cpp reads gate and up of this family in no other form.
    save_gguf(folder / "written.gguf", planted_family(c), Type::f32);
    const auto file = MappedFile::open(folder / "written.gguf");
    const Gguf written = decode_gguf(file->bytes(), file->name());
    CHECK(std::any_of(written.tensors.begin(), written.tensors.end(), [](const GgufTensor& t) { return t.name == "blk.0.ffn_up.weight" && t.shape == Shape{192, 64}; }));
    CHECK(std::none_of(written.tensors.begin(), written.tensors.end(), [](const GgufTensor& t) { return t.name == "blk.0.ffn_gate.weight"; }));
  }
}

TEST_CASE("any chunks, neighbours in a batch and cuts over ranks give a model of every family the same bits") {
  constexpr std::size_t kTokens = 75;  // more than two chunks of the cache, more than any window
  const auto tokens = family_tokens(kTokens);
  for (const FamilyModel& f : family_models()) {
    CAPTURE(f.name);
    const LlamaModel m = planted_family(f.config);
    const LlamaConfig& c = m.config;
    Alone alone;
    const auto expected = Runner(m, whole(c), Type::f32, kTokens).forward(tokens, 0, alone);
    for (const std::size_t chunk : {1, 7}) CHECK(Runner(m, whole(c), Type::f32, kTokens, 2).forward_chunks(tokens, chunk, alone) == expected);

    // Two sequences in one batch, the second shifted by a token.
    Runner one(m, whole(c), Type::f32, 2 * kTokens), two(m, whole(c), Type::f32, kTokens);
    std::vector<TokenId> both(tokens.begin() + 1, tokens.end());
    both.insert(both.end(), tokens.begin(), tokens.end());
    std::vector<float> hidden(both.size() * 64);
    embed(m.ends, c, both, hidden);
    const Segment segments[] = {{&two.cache, 0, static_cast<std::int64_t>(kTokens) - 1}, {&one.cache, 0, static_cast<std::int64_t>(kTokens)}};
    forward_blocks({c, one.slice, one.blocks}, hidden, segments, one.workspace, alone, one.pool);
    CHECK(std::equal(expected.begin(), expected.end(), hidden.end() - static_cast<std::ptrdiff_t>(expected.size())));

    // Cut unevenly over three ranks; the last has no heads where there are only two groups of them.
    const std::int64_t unit = units(c).ffn_columns;
    const LlamaSlice slices[] = {{0, 1, 0, unit}, {1, c.kv_heads, unit, unit}, {c.kv_heads, c.kv_heads, unit, c.ffn}};
    std::vector<std::unique_ptr<Runner>> runners;
    for (const LlamaSlice& slice : slices) runners.push_back(std::make_unique<Runner>(m, slice, Type::f32, kTokens));
    std::vector<std::vector<float>> results(3);
    FakeGroups(3).run([&](Group& group) {
      const auto rank = static_cast<std::size_t>(group.rank());
      results[rank] = runners[rank]->forward_chunks(tokens, 50, group);
    });
    for (const auto& result : results) CHECK(result == expected);
  }
}

TEST_CASE("experts may add up in plain F32, and leave the exact range with an error that names the layer") {
  const auto tokens = family_tokens(20);
  for (const FamilyModel& f : family_models()) {
    if (f.config.experts == 0) continue;
    CAPTURE(f.name);
    LlamaModel m = planted_family(f.config);
    Alone alone;
    const auto exact = Runner(m, whole(m.config), Type::f32, 20).forward(tokens, 0, alone);
    const auto fast = Runner(m, whole(m.config), Type::f32, 20, 1, Sum::fast).forward(tokens, 0, alone);
    for (std::size_t i = 0; i < exact.size(); ++i) CHECK(fast[i] == doctest::Approx(exact[i]).epsilon(1e-3));
    for (LlamaExpert& expert : m.blocks[1].experts) {
      expert.down = Tensor::from_floats(expert.down.shape(), expert.down.floats());
      expert.down.mutable_floats()[0] = 0x1p40f;
    }
    CHECK_THROWS_WITH_AS(Runner(m, whole(m.config), Type::f32, 20).forward(tokens, 0, alone), doctest::Contains("layer 1: a partial sum of the experts is"), Error);
  }
}

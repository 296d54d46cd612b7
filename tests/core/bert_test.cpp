// Encoders: the vectors of transformers (tests/golden/make_architectures.py), from a folder and from GGUF.
#include "core/models/bert.h"

#include <cmath>
#include <fstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/formats/gguf.h"
#include "core/formats/safetensors.h"
#include "tests/core/small_model.h"
#include "tests/oracle/small_llama.h"

using namespace starling::core;
using namespace starling::tests;

namespace {

nlohmann::json golden() {
  return nlohmann::json::parse(read_text(std::filesystem::path(STARLING_SOURCE_DIR) / "tests/golden/architectures.json", 1 << 20))["encoder"];
}

void write_folder(const std::filesystem::path& folder, const nlohmann::json& c) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "config.json") << c["config"];
  std::vector<Outgoing> tensors;
  for (const auto& [name, shape] : c["tensors"].items()) tensors.push_back(outgoing(name, planted_tensor(name, shape.get<Shape>()), Type::f32));
  write_safetensors(folder / "model.safetensors", {}, tensors);
}

void check_close(const std::vector<float>& got, const nlohmann::json& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(std::abs(static_cast<double>(got[i]) - expected[i].get<double>()) <= 1e-5);
}

/// The model as GGUF has it.
void write_gguf_of(const std::filesystem::path& path, const BertModel& m, std::int64_t pooling) {
  const BertConfig& c = m.config;
  GgufMetadata metadata;
  const auto count = [&](const char* key, std::int64_t value) { metadata.emplace_back(key, GgufValue{GgufType::u32, false, value}); };
  metadata.emplace_back("general.architecture", GgufValue{GgufType::string, false, std::string("bert")});
  count("bert.embedding_length", c.width), count("bert.block_count", c.layers), count("bert.attention.head_count", c.heads);
  count("bert.feed_forward_length", c.ffn), count("bert.context_length", c.context), count("bert.pooling_type", pooling);
  metadata.emplace_back("bert.attention.layer_norm_epsilon", GgufValue{GgufType::f32, false, static_cast<double>(c.norm_epsilon)});
  std::vector<Outgoing> tensors{outgoing("token_embd.weight", m.tokens, Type::f32), outgoing("position_embd.weight", m.positions, Type::f32),
                                outgoing("token_types.weight", m.types, Type::f32)};
  const auto add = [&](const std::string& name, const Affine& a) {
    tensors.push_back(outgoing(name + ".weight", a.weight, Type::f32));
    tensors.push_back(outgoing(name + ".bias", a.bias, Type::f32));
  };
  add("token_embd_norm", m.embedding_norm);
  for (std::size_t i = 0; i < m.blocks.size(); ++i) {
    const BertBlock& b = m.blocks[i];
    const std::string blk = "blk." + std::to_string(i) + ".";
    add(blk + "attn_q", b.query), add(blk + "attn_k", b.key), add(blk + "attn_v", b.value), add(blk + "attn_output", b.output);
    add(blk + "attn_output_norm", b.attention_norm), add(blk + "ffn_up", b.up), add(blk + "ffn_down", b.down), add(blk + "layer_output_norm", b.ffn_norm);
  }
  write_gguf(path, metadata, tensors);
}

}  // namespace

TEST_CASE("an encoder's rows and its text vectors are those of transformers, from a folder and from GGUF, on any threads") {
  const nlohmann::json c = golden();
  const Folder folder;
  write_folder(folder / "bert", c);
  REQUIRE(is_bert(folder / "bert"));
  const BertModel model = load_bert(folder / "bert");
  const auto tokens = c["tokens"].get<std::vector<TokenId>>();
  Pool pool(1), three(3);
  const auto rows = encode(model, tokens, pool);
  check_close({rows.end() - 48, rows.end()}, c["last_row"]);
  CHECK(encode(model, tokens, three) == rows);
  check_close(embedding(model, tokens, pool), c["mean"]);
  write_gguf_of(folder / "a.gguf", model, 1);
  REQUIRE(is_bert(folder / "a.gguf"));
  CHECK(embedding(load_bert(folder / "a.gguf"), tokens, pool) == embedding(model, tokens, pool));
  write_gguf_of(folder / "first.gguf", model, 2);
  check_close(embedding(load_bert(folder / "first.gguf"), tokens, pool), c["first"]);
  std::filesystem::create_directories(folder / "bert/1_Pooling");
  std::ofstream(folder / "bert/1_Pooling/config.json") << R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})";
  check_close(embedding(load_bert(folder / "bert"), tokens, pool), c["first"]);
}

TEST_CASE("an encoder refuses texts that do not fit and files that are not one") {
  nlohmann::json c = golden();
  const Folder folder;
  write_folder(folder / "bert", c);
  const BertModel model = load_bert(folder / "bert");
  Pool pool(1);
  CHECK_THROWS_WITH_AS(encode(model, {}, pool), doctest::Contains("0 tokens"), Error);
  CHECK_THROWS_WITH_AS(encode(model, std::vector<TokenId>(25, 1), pool), doctest::Contains("takes 1 to 24"), Error);
  CHECK_THROWS_WITH_AS(encode(model, std::vector<TokenId>{40}, pool), doctest::Contains("vocabulary of 40"), Error);
  write_gguf_of(folder / "a.gguf", model, 3);
  CHECK_THROWS_WITH_AS(load_bert(folder / "a.gguf"), doctest::Contains("bert.pooling_type"), Error);
  c["config"]["hidden_act"] = "relu";
  write_folder(folder / "bert", c);
  CHECK_THROWS_WITH_AS(load_bert(folder / "bert"), doctest::Contains("hidden_act"), Error);
  c["config"]["hidden_act"] = "gelu", c["config"]["intermediate_size"] = 81;
  write_folder(folder / "bert", c);
  CHECK_THROWS_WITH_AS(load_bert(folder / "bert"), doctest::Contains("intermediate.dense"), Error);
}

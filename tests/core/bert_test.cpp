// Encoders: the vectors of transformers (tests/golden/make_architectures.py), from a folder and from GGUF.
#include "core/models/bert.h"

#include <cmath>
#include <fstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/formats/gguf_llama.h"
#include "core/models/load.h"
#include "core/models/pack.h"
#include "core/quant/blocks.h"
#include "core/text/tokenizer.h"
#include "tests/core/small_model.h"
#include "tests/oracle/small_encoder.h"

using namespace starling::core;
using namespace starling::tests;

namespace {

nlohmann::json golden() {
  return nlohmann::json::parse(read_text(std::filesystem::path(STARLING_SOURCE_DIR) / "tests/golden/architectures.json", 1 << 20))["encoder"];
}

std::vector<float> encode_one(const BertModel& model, std::span<const TokenId> text, Pool& pool) { return encode(model, {&text, 1}, pool); }
std::vector<float> embedding(const BertModel& model, std::span<const TokenId> text, Pool& pool) { return embeddings(model, {&text, 1}, pool).front(); }

void check_close(const std::vector<float>& got, const nlohmann::json& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(std::abs(static_cast<double>(got[i]) - expected[i].get<double>()) <= 1e-5);
}

}  // namespace

TEST_CASE("an encoder's rows and its text vectors are those of transformers, from a folder and from GGUF, on any threads") {
  const nlohmann::json c = golden();
  const Folder folder;
  write_encoder(folder / "bert", c);
  REQUIRE(is_bert(folder / "bert"));
  const BertModel model = load_bert(folder / "bert");
  const auto tokens = c["tokens"].get<std::vector<TokenId>>();
  Pool pool(1), three(3);
  const auto rows = encode_one(model, tokens, pool);
  check_close({rows.end() - 48, rows.end()}, c["last_row"]);
  CHECK(encode_one(model, tokens, three) == rows);
  check_close(embedding(model, tokens, pool), c["mean"]);
  write_encoder_gguf(folder / "a.gguf", model, 1);
  REQUIRE(is_bert(folder / "a.gguf"));
  CHECK(embedding(load_bert(folder / "a.gguf"), tokens, pool) == embedding(model, tokens, pool));
  write_encoder_gguf(folder / "first.gguf", model, 2);
  check_close(embedding(load_bert(folder / "first.gguf"), tokens, pool), c["first"]);
  std::filesystem::create_directories(folder / "bert/1_Pooling");
  std::ofstream(folder / "bert/1_Pooling/config.json") << R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})";
  check_close(embedding(load_bert(folder / "bert"), tokens, pool), c["first"]);
}

TEST_CASE("a text has the same bits alone and between others, on any number of threads") {
  const nlohmann::json c = golden();
  const Folder folder;
  write_encoder(folder / "bert", c);
  const BertModel model = load_bert(folder / "bert");
  std::vector<std::vector<TokenId>> tokens;
  for (const std::size_t length : {1u, 24u, 3u, 8u, 17u, 1u})
    for (tokens.emplace_back(); tokens.back().size() < length;) tokens.back().push_back(static_cast<TokenId>((7 * tokens.back().size() + tokens.size()) % 40));
  const std::vector<std::span<const TokenId>> texts(tokens.begin(), tokens.end());
  Pool pool(1), three(3);
  const auto together = embeddings(model, texts, three);
  REQUIRE(together.size() == texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) CHECK(together[i] == embedding(model, texts[i], pool));
  CHECK(embeddings(model, {}, pool).empty());
}

TEST_CASE("quantised matrices are packed: vectors stay within the rounding of activations, with the same bits in any batch") {
  nlohmann::json c = golden();
  c["config"]["hidden_size"] = 64, c["config"]["intermediate_size"] = 96;
  for (auto& [name, shape] : c["tensors"].items())
    for (auto& extent : shape) extent = extent == 48 ? 64 : extent == 80 ? 96 : extent.get<int>();
  const Folder folder;
  write_encoder(folder / "bert", c);
  BertModel model = load_bert(folder / "bert");
  for (BertBlock& block : model.blocks)
    for (Affine* affine : {&block.query, &block.key, &block.value, &block.output, &block.up, &block.down}) {
      Tensor quantised = Tensor::owned(Type::q8_0, affine->weight.shape());
      quantize(Type::q8_0, affine->weight.floats(), quantised.mutable_bytes());
      affine->weight = quantised;
    }
  BertModel packed = model;
  Pool pool(1), three(3);
  pack(packed, pool);
  CHECK(packed.blocks[0].up.weight.type() == Type::q8_0_x16);
  std::vector<std::vector<TokenId>> tokens{{1}, {5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}, {3, 2, 1}};
  const std::vector<std::span<const TokenId>> texts(tokens.begin(), tokens.end());
  const auto together = embeddings(packed, texts, three), exact = embeddings(model, texts, pool);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    CHECK(together[i] == embedding(packed, texts[i], pool));
    CHECK(together[i] != exact[i]);
    double cosine = 0;
    for (std::size_t k = 0; k < exact[i].size(); ++k) cosine += static_cast<double>(together[i][k]) * static_cast<double>(exact[i][k]);
    CHECK(cosine > 0.9995);
  }
}

TEST_CASE("an encoder refuses texts that do not fit and files that are not one") {
  nlohmann::json c = golden();
  const Folder folder;
  write_encoder(folder / "bert", c);
  const BertModel model = load_bert(folder / "bert");
  Pool pool(1);
  CHECK_THROWS_WITH_AS(encode_one(model, {}, pool), doctest::Contains("0 tokens"), Error);
  CHECK_THROWS_WITH_AS(encode_one(model, std::vector<TokenId>(25, 1), pool), doctest::Contains("takes 1 to 24"), Error);
  CHECK_THROWS_WITH_AS(encode_one(model, std::vector<TokenId>{40}, pool), doctest::Contains("vocabulary of 40"), Error);
  write_encoder_gguf(folder / "a.gguf", model, 3);
  CHECK_THROWS_WITH_AS(load_bert(folder / "a.gguf"), doctest::Contains("bert.pooling_type"), Error);
  c["config"]["hidden_act"] = "relu";
  write_encoder(folder / "bert", c);
  CHECK_THROWS_WITH_AS(load_bert(folder / "bert"), doctest::Contains("hidden_act"), Error);
  c["config"]["hidden_act"] = "gelu", c["config"]["intermediate_size"] = 81;
  write_encoder(folder / "bert", c);
  CHECK_THROWS_WITH_AS(load_bert(folder / "bert"), doctest::Contains("intermediate.dense"), Error);
}

TEST_CASE("a text's tokens and vector are those of sentence-transformers, from its folder and from GGUF") {
  const nlohmann::json golden = encoder_texts();
  Pool pool(2);
  for (const std::string pooling : {"mean", "first"}) {
    const Folder folder;
    write_text_encoder(folder / "bert", golden, pooling);
    const BertModel model = load_bert(folder / "bert");
    // Keys of the vocabulary are the same in any GGUF file.
    GgufMetadata vocabulary = gguf_metadata("", small_model({}).config, model.vocabulary, Type::f32);
    std::erase_if(vocabulary, [](const auto& entry) { return !entry.first.starts_with("tokenizer."); });
    write_encoder_gguf(folder / "bert.gguf", model, pooling == "mean" ? 1 : 2, vocabulary);
    const BertModel from_gguf = load_bert(folder / "bert.gguf");
    const auto tokenizer = make_tokenizer(model.vocabulary), of_gguf = make_tokenizer(from_gguf.vocabulary);
    for (const nlohmann::json& text : golden["texts"]) {
      CAPTURE(text["text"]);
      const auto tokens = tokenizer->encode(text["text"].get<std::string>());
      CHECK(tokens == text["tokens"].get<std::vector<TokenId>>());
      CHECK(of_gguf->encode(text["text"].get<std::string>()) == tokens);
      check_close(embedding(model, tokens, pool), text[pooling]);
      CHECK(embedding(from_gguf, tokens, pool) == embedding(model, tokens, pool));
    }
  }
}

TEST_CASE("what sentence-transformers would do otherwise with a text is refused") {
  const nlohmann::json golden = encoder_texts();
  const auto refused = [&](const char* file, const nlohmann::json& content, const char* why) {
    const Folder folder;
    write_text_encoder(folder / "bert", golden, "mean");
    std::ofstream(folder / "bert" / file) << content;
    CHECK_THROWS_WITH_AS(load_bert(folder / "bert"), doctest::Contains(why), Error);
  };
  refused("1_Pooling/config.json", {{"pooling_mode", "max"}}, "only the mean and the first");
  refused("1_Pooling/config.json", {{"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", true}}, "only the mean and the first");
  refused("1_Pooling/config.json", {{"pooling_mode_mean_tokens", true}, {"pooling_mode_max_tokens", true}}, "only the mean and the first");
  refused("modules.json", nlohmann::json::array({{{"type", "sentence_transformers.models.Dense"}}}), "models.Dense");
  refused("modules.json", {{"type", 1}}, "no list of modules");
  const auto tokenizer = [&](const char* part, const char* key, const nlohmann::json& value, const char* why) {
    nlohmann::json changed = golden["tokenizer"];
    changed[part][key] = value;
    refused("tokenizer.json", changed, why);
  };
  tokenizer("normalizer", "type", "NFC", "BertNormalizer");
  tokenizer("normalizer", "strip_accents", false, "strip_accents");
  tokenizer("pre_tokenizer", "type", "Whitespace", "BertPreTokenizer");
  tokenizer("model", "max_input_chars_per_word", 20, "max_input_chars_per_word");
  tokenizer("model", "unk_token", "[NONE]", "unk_token");
  tokenizer("model", "type", "Unigram", "Unigram");
}

TEST_CASE("the older form of a tokenizer.json says its ends by BertProcessing") {
  nlohmann::json golden = encoder_texts();
  golden["tokenizer"]["post_processor"] = {{"type", "BertProcessing"}, {"sep", {"[SEP]", 3}}, {"cls", {"[CLS]", 2}}};
  const Folder folder;
  write_text_encoder(folder / "bert", golden, "mean");
  const auto tokenizer = make_tokenizer(load_vocabulary(folder / "bert"));
  CHECK(tokenizer->encode("the cat") == std::vector<TokenId>{2, 5, 6, 3});
}

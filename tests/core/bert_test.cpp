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
#include "core/text/tokenizer.h"
#include "tests/core/small_model.h"
#include "tests/oracle/small_encoder.h"

using namespace starling::core;
using namespace starling::tests;

namespace {

nlohmann::json golden() {
  return nlohmann::json::parse(read_text(std::filesystem::path(STARLING_SOURCE_DIR) / "tests/golden/architectures.json", 1 << 20))["encoder"];
}

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
  const auto rows = encode(model, tokens, pool);
  check_close({rows.end() - 48, rows.end()}, c["last_row"]);
  CHECK(encode(model, tokens, three) == rows);
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

TEST_CASE("an encoder refuses texts that do not fit and files that are not one") {
  nlohmann::json c = golden();
  const Folder folder;
  write_encoder(folder / "bert", c);
  const BertModel model = load_bert(folder / "bert");
  Pool pool(1);
  CHECK_THROWS_WITH_AS(encode(model, {}, pool), doctest::Contains("0 tokens"), Error);
  CHECK_THROWS_WITH_AS(encode(model, std::vector<TokenId>(25, 1), pool), doctest::Contains("takes 1 to 24"), Error);
  CHECK_THROWS_WITH_AS(encode(model, std::vector<TokenId>{40}, pool), doctest::Contains("vocabulary of 40"), Error);
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

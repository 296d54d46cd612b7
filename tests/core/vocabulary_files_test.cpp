// Vocabularies as tokenizer.json, tokenizer.model and tokenizer.bin store them, on small hand-made files.
#include <filesystem>
#include <string>

#include <doctest/doctest.h>

#include "core/file.h"
#include "core/formats/llama2c.h"
#include "core/formats/sentencepiece_model.h"
#include "core/formats/tokenizer_json.h"
#include "tests/core/small_model.h"

using namespace starling::core;

namespace {

std::string seed(const std::string& name) {
  return read_text(std::filesystem::path(STARLING_SOURCE_DIR) / "tests/fuzz/corpus" / name, 1 << 20);
}

Vocabulary json(const std::string& name) {
  const std::string text = seed("tokenizer_json/" + name);
  return decode_tokenizer_json(std::as_bytes(std::span(text)), name);
}

const std::string kSpace = "\xe2\x96\x81";

}  // namespace

TEST_CASE("a byte-level tokenizer.json gives pieces, merges, kinds and the name of its expression") {
  const Vocabulary v = json("llama3.json");
  CHECK(v.model == TokenizerModel::byte_level_bpe);
  CHECK(v.pre == "llama-bpe");
  CHECK(v.ignore_merges);
  CHECK(v.pieces == std::vector<std::string>{"a", "b", "ab", "c", "<s>", "\n\n"});
  CHECK(v.merges == std::vector<std::string>{"a b"});
  CHECK(v.kinds[4] == PieceKind::control);
  CHECK(v.kinds[5] == PieceKind::user_defined);
  CHECK(v.bos == 4);
  CHECK(v.add_bos == true);
  CHECK(v.add_eos == false);
}

TEST_CASE("other byte-level files are recognised, and ids that no token has become unused pieces") {
  const Vocabulary v = json("gpt2.json");
  CHECK(v.pre == "gpt-2");
  CHECK(v.pieces.size() == 8);
  CHECK(v.pieces[7] == "ab");
  CHECK(v.kinds[5] == PieceKind::unused);
  CHECK(v.add_bos == false);
  CHECK(json("starcoder.json").pre == "starcoder");
}

TEST_CASE("a SentencePiece-like tokenizer.json scores pieces by the rank of their merge") {
  const Vocabulary v = json("sentencepiece.json");
  CHECK(v.model == TokenizerModel::sentencepiece);
  CHECK(v.pieces[5] == kSpace + "a");
  CHECK(v.scores[5] == 0.0f);
  CHECK(v.scores[4] < -1e8f);
  CHECK(v.kinds[6] == PieceKind::byte);
  CHECK(v.unknown == 0);
  CHECK(v.kinds[0] == PieceKind::unknown);
  CHECK(v.bos == 1);
  CHECK(v.eos == 2);
  CHECK(v.add_eos == true);
  CHECK(v.add_space_prefix == true);
  CHECK(v.merges.empty());
  CHECK(json("metaspace.json").add_space_prefix == true);
}

TEST_CASE("tokenizer_config.json decides roles and the tokens at both ends") {
  Vocabulary v = json("sentencepiece.json");
  const std::string text = R"({"bos_token": {"content": "</s>"}, "add_bos_token": false, "chat_template": "t"})";
  apply_tokenizer_config(std::as_bytes(std::span(text)), "tokenizer_config.json", v);
  CHECK(v.bos == 2);
  CHECK(v.add_bos == false);
  CHECK(v.chat_template == "t");
  const std::string several = R"({"chat_template": [{"name": "tool_use", "template": "a"}, {"name": "default", "template": "b"}]})";
  apply_tokenizer_config(std::as_bytes(std::span(several)), "tokenizer_config.json", v);
  CHECK(v.chat_template == "b");
  CHECK(v.eos == 2);
}

TEST_CASE("a byte-level vocabulary survives being written as tokenizer.json") {
  for (const char* pre : {"llama-bpe", "qwen2", "tekken", "gpt-4o", "gpt-2", "starcoder"}) {
    CAPTURE(pre);
    Vocabulary v = json("llama3.json");
    v.pre = pre;
    const std::string text = encode_tokenizer_json(v, "tokenizer.json");
    const Vocabulary back = decode_tokenizer_json(std::as_bytes(std::span(text)), "tokenizer.json");
    CHECK(back.pre == v.pre);
    CHECK(back.pieces == v.pieces);
    CHECK(back.kinds == v.kinds);
    CHECK(back.merges == v.merges);
    CHECK(back.bos == v.bos);
    CHECK(back.add_bos == true);
    CHECK(back.ignore_merges == v.ignore_merges);
  }
  Vocabulary v = json("llama3.json");
  v.pre = "falcon";
  CHECK_THROWS_AS(encode_tokenizer_json(v, "tokenizer.json"), Error);
}

TEST_CASE("a sentencepiece vocabulary survives tokenizer.model, negative ids and all") {
  Vocabulary v = starling::tests::small_vocabulary();
  v.eos = std::nullopt;
  const auto bytes = encode_sentencepiece_model(v, "tokenizer.model");
  const Vocabulary back = decode_sentencepiece_model(bytes, "tokenizer.model");
  CHECK(back.pieces == v.pieces);
  CHECK(back.scores == v.scores);
  CHECK(back.kinds == v.kinds);
  CHECK(back.bos == v.bos);
  CHECK_FALSE(back.eos);
  CHECK_FALSE(back.padding);
  CHECK(back.add_space_prefix == true);
  CHECK(back.remove_extra_whitespaces == false);
}

TEST_CASE("llama2.c spellings become SentencePiece ones") {
  const std::string text = seed("llama2c_tokenizer/bytes_and_words.bin");
  const Vocabulary v = decode_llama2c_tokenizer(std::as_bytes(std::span(text)), "tokenizer.bin");
  CHECK(v.pieces[1] == "<s>");
  CHECK(v.kinds[1] == PieceKind::control);
  CHECK(v.pieces[3 + 0x41] == "<0x41>");
  CHECK(v.kinds[3 + 0x41] == PieceKind::byte);
  CHECK(v.pieces[259] == kSpace + "t");
  CHECK(v.pieces[261] == kSpace + kSpace);
  CHECK(v.scores[260] == -2.0f);
  CHECK(v.bos == 1);
  CHECK(v.add_bos == true);
  CHECK(v.add_space_prefix == true);
}

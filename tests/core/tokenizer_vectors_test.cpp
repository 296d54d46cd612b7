// The published test vectors: 46 strings for each of four vocabularies, and the golden tokenisations made with
// the reference programs.
#include <doctest/doctest.h>

#include <sstream>

#include "core/models/load.h"
#include "core/text/tokenizer.h"
#include "tests/core/text_data.h"
#include "tests/data.h"

using namespace starling;
using core::TokenId;
using Ids = std::vector<TokenId>;

namespace {

struct Vectors {
  std::unique_ptr<core::Tokenizer> tokenizer;
  std::vector<std::string> texts;
  std::vector<Ids> ids;
};

/// Texts are separated by lines of __ggml_vocab_test__, ids are one line a text.
std::optional<Vectors> vectors(const std::string& name) {
  const auto path = tests::data_file("tokenizers/ggml-vocab-" + name + ".gguf");
  if (!path) return std::nullopt;
  Vectors v;
  v.tokenizer = core::make_tokenizer(core::load_vocabulary(*path));
  const std::string input = tests::slurp(path->string() + ".inp"), separator = "\n__ggml_vocab_test__\n";
  for (std::size_t begin = 0, end; (end = input.find(separator, begin)) != std::string::npos; begin = end + separator.size())
    v.texts.push_back(input.substr(begin, end - begin));
  std::istringstream lines(tests::slurp(path->string() + ".out"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream numbers(line);
    Ids ids;
    for (TokenId id; numbers >> id;) ids.push_back(id);
    v.ids.push_back(ids);
  }
  return v;
}

std::string shown(const Ids& ids) {
  std::string text;
  for (const TokenId id : ids) text += std::to_string(id) + " ";
  return text;
}

constexpr core::EncodeOptions kPlain{.add_special = false, .parse_special = false};
constexpr core::EncodeOptions kSpecial{.add_special = false, .parse_special = true};

}  // namespace

TEST_CASE("all 46 published strings of each vocabulary give the published ids") {
  for (const char* name : {"llama-spm", "gpt-2", "falcon", "bert-bge"}) {
    const auto v = vectors(name);
    if (!v) continue;
    CAPTURE(name);
    REQUIRE(v->texts.size() == 46);
    REQUIRE(v->ids.size() == 46);
    for (std::size_t i = 0; i < v->texts.size(); ++i) {
      CAPTURE(v->texts[i]);
      CHECK(shown(v->tokenizer->encode(v->texts[i], kPlain)) == shown(v->ids[i]));
    }
  }
}

TEST_CASE("decoding gives the published strings back byte for byte") {
  for (const char* name : {"llama-spm", "gpt-2", "falcon"}) {
    const auto v = vectors(name);
    if (!v) continue;
    CAPTURE(name);
    for (std::size_t i = 0; i < v->texts.size(); ++i) {
      CHECK(v->tokenizer->decode(v->ids[i]) == v->texts[i]);
      // A begin-of-text token in front changes nothing in the text.
      CHECK(v->tokenizer->decode(v->tokenizer->encode(v->texts[i])) == v->texts[i]);
    }
  }
}

TEST_CASE("WordPiece decodes to its normal form, which encodes to the same ids") {
  const auto v = vectors("bert-bge");
  if (!v) return;
  for (std::size_t i = 0; i < v->texts.size(); ++i) {
    const std::string normal = v->tokenizer->decode(v->ids[i]);
    CHECK(shown(v->tokenizer->encode(normal, kSpecial)) == shown(v->ids[i]));
    CHECK(v->tokenizer->decode(v->tokenizer->encode(normal, kSpecial)) == normal);
  }
  const auto normal = [&](std::string_view text) { return v->tokenizer->decode(v->tokenizer->encode(text)); };
  CHECK(normal("  H\u00e9llo,\tW\u00d6RLD!\n ") == "hello , world !");
  CHECK(normal("\u6211\u60f3 in 1976") == "\u6211 [UNK] in 1976");
  CHECK(normal("don't -- 5$") == "don ' t - - 5 $");
  CHECK(normal("a \U0001F999 b") == "a [UNK] b");
  CHECK(normal("e\u0301t\u00e9") == "ete");
  CHECK(normal("soft\u00adhyphen zero\u200bwidth nul") == "softhyphen zerowidth nul");
  CHECK(normal("[CLS] x") == "[ cls ] x");
}

TEST_CASE("the golden tokenisations of the reference programs") {
  const std::vector<std::string> texts = {"I'LL we've DON'T", "\t\tx\n\n  y  \r\n z", "3.14159 1234567", "Hello\U0001F999!",
                                          "foo   \n\n\n   bar", "e\u0301t\u00e9", ".\n\n!!", "\u00a0x\u2003y", " Hello", "  Hello  ", ""};
  const std::vector<std::pair<std::string, std::vector<std::string>>> golden = {
      {"llama-spm",
       {"306 29915 2208 591 29915 345 360 1164 29915 29911 ", "29871 12 12 29916 13 13 29871 343 29871 6756 13 503 ",
        "29871 29941 29889 29896 29946 29896 29945 29929 29871 29896 29906 29941 29946 29945 29953 29955 ", "15043 243 162 169 156 29991 ",
        "7953 1678 13 13 13 259 2594 ", "321 30103 6772 ", "869 13 13 6824 ", "20246 29916 30363 29891 ", "29871 15043 ", "259 15043 259 ", ""}},
      {"gpt-2",
       {"40 6 3069 356 1053 23917 6 51 ", "197 197 87 628 220 331 220 220 201 198 1976 ", "18 13 1415 19707 17031 2231 3134 ",
        "15496 8582 99 247 0 ", "21943 220 220 220 628 198 220 220 2318 ", "68 136 223 83 2634 ", "13 198 198 3228 ", "1849 87 447 225 88 "}},
      {"bert-bge",
       {"1045 1005 2222 2057 1005 2310 2123 1005 1056 ", "1060 1061 1062 ", "1017 1012 15471 28154 13138 19961 2575 2581 ", "100 999 ",
        "29379 3347 ", "3802 2063 ", "1012 999 999 ", "1060 1061 "}}};
  for (const auto& [name, expected] : golden) {
    const auto v = vectors(name);
    if (!v) continue;
    CAPTURE(name);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CAPTURE(texts[i]);
      CHECK(shown(v->tokenizer->encode(texts[i], kPlain)) == expected[i]);
    }
  }
}

TEST_CASE("special tokens count only where the caller trusts the text") {
  if (const auto v = vectors("llama-spm")) {
    const core::Tokenizer& t = *v->tokenizer;
    CHECK(shown(t.encode("<s>", kPlain)) == "529 29879 29958 ");
    CHECK(shown(t.encode("<s>", kSpecial)) == "1 ");
    CHECK(shown(t.encode("a<s>b<s> c", kSpecial)) == "263 1 289 1 29871 274 ");
    CHECK(t.decode(t.encode("a<s>b<s> c", kSpecial)) == "ab c");
    CHECK(shown(t.encode("Hello")) == "1 15043 ");
    CHECK(t.ends_generation(2));
    CHECK_FALSE(t.ends_generation(1));
    CHECK(shown(t.encode("\xFF\xFE" "a\xE2\x82", kPlain)) == "29871 258 257 29874 229 133 ");
    CHECK(t.decode(t.encode("\xFF\xFE" "a\xE2\x82")) == "\xFF\xFE" "a\xE2\x82");
  }
  if (const auto v = vectors("gpt-2")) {
    const core::Tokenizer& t = *v->tokenizer;
    CHECK(shown(t.encode("a<|endoftext|>b", kSpecial)) == "64 50256 65 ");
    CHECK(t.encode("<|endoftext|>", kPlain).size() > 1);
    CHECK(t.ends_generation(50256));
    CHECK(t.decode(t.encode("x\xFFy")) == "x\uFFFDy");
  }
  if (const auto v = vectors("bert-bge")) CHECK(shown(v->tokenizer->encode("hello")) == "101 7592 102 ");
}

TEST_CASE("the same vocabulary in three file formats gives the same ids") {
  const auto v = vectors("llama-spm");
  for (const char* file : {"llama2-tokenizer/tokenizer.model", "llama2-tokenizer/tokenizer.bin"}) {
    const auto path = tests::data_file(file);
    if (!v || !path) continue;
    CAPTURE(file);
    const auto tokenizer = core::make_tokenizer(core::load_vocabulary(*path));
    for (std::size_t i = 0; i < v->texts.size(); ++i) {
      CHECK(shown(tokenizer->encode(v->texts[i], kPlain)) == shown(v->ids[i]));
      CHECK(tokenizer->decode(tokenizer->encode(v->texts[i])) == v->texts[i]);
    }
  }
}

TEST_CASE("the small tokenizer of stories260K gives its expected text back") {
  const auto path = tests::data_file("stories260k/tok512.bin");
  const auto text = tests::data_file("stories260k/expected_greedy_n200.txt");
  if (!path || !text) return;
  const auto tokenizer = core::make_tokenizer(core::load_vocabulary(*path));
  const std::string story = tests::slurp(*text);
  const Ids ids = tokenizer->encode(story);
  REQUIRE(ids.size() > 100);
  CHECK(ids.front() == 1);
  CHECK(tokenizer->decode(ids) == story);
}

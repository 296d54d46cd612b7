// Whole models through every format and back, with the real llama2.c checkpoint and with small generated ones.
#include "core/models/load.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/formats/format.h"
#include "core/formats/gguf_llama.h"
#include "core/formats/hugging_face.h"
#include "core/formats/llama_tensors.h"
#include "core/formats/safetensors.h"
#include "core/quant/blocks.h"
#include "tests/core/small_model.h"
#include "tests/data.h"

using namespace starling::core;
using starling::tests::Folder;
using starling::tests::same_numbers;
using starling::tests::small_model;

namespace {

bool same_vocabulary(const Vocabulary& a, const Vocabulary& b) {
  return a.model == b.model && a.pieces == b.pieces && a.scores == b.scores && a.kinds == b.kinds && a.merges == b.merges &&
         a.bos == b.bos && a.eos == b.eos && a.unknown == b.unknown && a.add_bos == b.add_bos && a.add_eos == b.add_eos &&
         a.add_space_prefix == b.add_space_prefix && a.ignore_merges == b.ignore_merges && a.pre == b.pre &&
         a.chat_template == b.chat_template;
}

std::string content(const std::filesystem::path& path) { return read_text(path, 1 << 24); }

}  // namespace

TEST_CASE("a model keeps its numbers and its vocabulary through every format") {
  const Folder folder;
  const LlamaModel model = small_model({});
  for (const char* name : {"a.gguf", "a.bin", "a.safetensors", "folder"}) {
    CAPTURE(name);
    save_model(folder / name, model, Type::f32);
    const LlamaModel back = load_model(folder / name);
    CHECK(back.config == model.config);
    CHECK(same_numbers(back, model));
    CHECK(back.vocabulary.pieces == model.vocabulary.pieces);
    CHECK(back.vocabulary.scores == model.vocabulary.scores);
    CHECK(back.vocabulary.kinds == model.vocabulary.kinds);
    CHECK(back.vocabulary.bos == model.vocabulary.bos);
    CHECK(back.vocabulary.eos == model.vocabulary.eos);
    CHECK(back.vocabulary.add_space_prefix == true);
  }
}

TEST_CASE("an untied model with its own head size and llama3 rotary scaling survives GGUF and safetensors") {
  const Folder folder;
  LlamaConfig config;
  config.head_size = 64;
  config.tied = false;
  config.rope_base = 500000.0f;
  config.rope_divisors = llama3_divisors(64, 500000.0, 32, 1, 4, 8192);
  const LlamaModel model = small_model(config);
  for (const char* name : {"a.gguf", "folder"}) {
    CAPTURE(name);
    save_model(folder / name, model, Type::f32);
    const LlamaModel back = load_model(folder / name);
    CHECK(back.config == model.config);
    CHECK(same_numbers(back, model));
  }
  try {
    save_model(folder / "a.bin", model, Type::f32);
    FAIL("llama2.c cannot hold this model");
  } catch (const Error& error) {
    CHECK(error.kind() == Kind::unsupported);
  }
}

TEST_CASE("matrices take the wanted type, norms stay f32, and rows that no block divides become f16") {
  const Folder folder;
  LlamaConfig config;
  config.ffn = 44;  // the columns of down
  const LlamaModel model = small_model(config);
  for (const Type type : {Type::f16, Type::bf16, Type::q8_0, Type::q4_0}) {
    CAPTURE(info(type).name);
    save_gguf(folder / "a.gguf", model, type);
    const LlamaModel back = load_model(folder / "a.gguf");
    CHECK(back.ends.embedding.type() == type);
    CHECK(back.blocks[1].query.type() == type);
    CHECK(back.blocks[1].down.type() == storable(type, {32, 44}));
    CHECK(back.blocks[1].ffn_norm.type() == Type::f32);
    const Tensor expected = convert(model.blocks[1].query, type);
    CHECK(std::equal(expected.bytes().begin(), expected.bytes().end(), back.blocks[1].query.bytes().begin()));
  }
  CHECK(storable(Type::q8_0, {32, 44}) == Type::f16);
  CHECK(storable(Type::bf16, {32, 44}) == Type::bf16);
}

TEST_CASE("the llama3 rule gives the published divisors") {
  const auto f = llama3_divisors(128, 5e5, 8, 1, 4, 8192);
  CHECK(f[28] == 1.0);
  CHECK(f[29] == doctest::Approx(1.207484).epsilon(1e-6));
  CHECK(f[33] == doctest::Approx(3.684253).epsilon(1e-6));
  CHECK(f[35] == 8.0);
  double sum = 0;
  for (const double x : f) sum += x;
  CHECK(sum == doctest::Approx(277.4233205).epsilon(1e-8));
  sum = 0;
  for (const double x : llama3_divisors(64, 5e5, 32, 1, 4, 8192)) sum += x;
  CHECK(sum == doctest::Approx(477.6103203).epsilon(1e-8));
}

TEST_CASE("Hugging Face order of rotary rows is undone exactly") {
  // Row k of a head of 6 in Hugging Face order belongs to pair k mod 3: 0 1 2 | 3 4 5 becomes 0 3 1 4 2 5.
  std::vector<float> rows(12);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<float>(i);
  const Tensor ours = interleave_heads(Tensor::from_floats({12, 1}, rows), 6);
  const std::vector<float> expected{0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11};
  CHECK(std::equal(expected.begin(), expected.end(), ours.floats().begin()));
  const RowOrder order = rows_to_hugging_face(6);
  for (std::int64_t row = 0; row < 12; ++row)
    CHECK(ours.floats()[static_cast<std::size_t>(order(row))] == static_cast<float>(row));
}

TEST_CASE("a sharded checkpoint is read through its index") {
  const Folder folder;
  const LlamaModel model = small_model({});
  save_model(folder / "whole", model, Type::f32);
  std::filesystem::create_directories(folder / "parts");
  const auto order = [&](std::int64_t) { return rows_to_hugging_face(model.config.head_size); };
  const auto tensors = outgoing_tensors(model, hugging_face_names(model.config), Type::f32, order);
  nlohmann::json index;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    index["weight_map"][tensors[i].name] = i < 4 ? "one.safetensors" : "two.safetensors";
  write_safetensors(folder / "parts/one.safetensors", {}, std::span(tensors).first(4));
  write_safetensors(folder / "parts/two.safetensors", {}, std::span(tensors).subspan(4));
  std::ofstream(folder / "parts/model.safetensors.index.json") << index;
  for (const char* name : {"config.json", "tokenizer.model"})
    std::filesystem::copy(folder / "whole" / name, folder / "parts" / name);
  CHECK(same_numbers(load_model(folder / "parts"), model));
  CHECK(describe_model(folder / "parts")["totals"]["tensors"] == tensors.size());
}

TEST_CASE("descriptions count what the file holds") {
  const Folder folder;
  LlamaConfig config;
  config.ffn = 44;
  save_model(folder / "a.gguf", small_model(config), Type::q8_0);
  const auto d = describe_model(folder / "a.gguf");
  CHECK(d["format"] == "gguf");
  CHECK(d["metadata"]["llama.feed_forward_length"] == 44);
  CHECK(d["metadata"]["tokenizer.ggml.tokens"]["count"] == 272);
  CHECK(d["totals"]["tensors"] == 2 + 2 * 9);
  const auto& first = d["tensors"][0];
  CHECK(first["name"] == "token_embd.weight");
  CHECK(first["type"] == "q8_0");
  CHECK(first["shape"] == nlohmann::json{272, 32});
  CHECK(first["bytes"] == 272 * 34);
}

TEST_CASE("the real checkpoint of llama2.c reads without a copy and survives GGUF and the way back") {
  const auto path = starling::tests::data_file("stories260k/stories260K.bin");
  if (!path) return;
  const LlamaModel model = load_model(*path);
  CHECK(model.config.width == 64);
  CHECK(model.config.kv_heads == 4);
  CHECK(model.config.ffn == 172);
  CHECK(model.config.tied);
  CHECK_FALSE(model.blocks[4].down.is_owned());
  CHECK(model.vocabulary.pieces[259] == "\xe2\x96\x81t");
  CHECK(model.vocabulary.kinds[13] == PieceKind::byte);
  const Folder folder;
  save_model(folder / "s.gguf", model, Type::f32);
  const LlamaModel gguf = load_model(folder / "s.gguf");
  CHECK(gguf.config == model.config);
  CHECK(same_numbers(gguf, model));
  CHECK(same_vocabulary(gguf.vocabulary, model.vocabulary));
  save_model(folder / "s.bin", gguf, Type::f32);
  CHECK(content(folder / "tok512.bin") == content(path->parent_path() / "tok512.bin"));
  // Only the rotary tables, which every reader ignores, may differ: 512 positions x 8 floats at the end.
  const std::string before = content(*path), after = content(folder / "s.bin");
  CHECK(before.size() == after.size());
  CHECK(before.substr(0, before.size() - 512 * 8 * 4) == after.substr(0, after.size() - 512 * 8 * 4));
}

TEST_CASE("vocabularies of any architecture are read without a model") {
  struct Case {
    const char* name;
    TokenizerModel model;
    std::size_t pieces;
  };
  for (const Case& c : {Case{"llama-spm", TokenizerModel::sentencepiece, 32000}, Case{"gpt-2", TokenizerModel::byte_level_bpe, 50257},
                        Case{"falcon", TokenizerModel::byte_level_bpe, 65024}, Case{"bert-bge", TokenizerModel::wordpiece, 30522}}) {
    const auto path = starling::tests::data_file(fmt::format("tokenizers/ggml-vocab-{}.gguf", c.name));
    if (!path) continue;
    CAPTURE(c.name);
    const Vocabulary v = load_vocabulary(*path);
    CHECK(v.model == c.model);
    CHECK(v.pieces.size() == c.pieces);
  }
}

TEST_CASE("three files of the Llama 2 vocabulary agree") {
  const auto gguf = starling::tests::data_file("tokenizers/ggml-vocab-llama-spm.gguf");
  const auto model = starling::tests::data_file("llama2-tokenizer/tokenizer.model");
  const auto bin = starling::tests::data_file("llama2-tokenizer/tokenizer.bin");
  if (!gguf || !model || !bin) return;
  const Vocabulary a = load_vocabulary(*gguf), b = load_vocabulary(*model), c = load_vocabulary(*bin);
  CHECK(a.pieces == b.pieces);
  CHECK(a.scores == b.scores);
  CHECK(a.kinds == b.kinds);
  CHECK(a.pieces == c.pieces);
  CHECK(a.scores == c.scores);
  CHECK(a.kinds == c.kinds);
  CHECK(b.bos == 1);
  CHECK(b.remove_extra_whitespaces == false);
}

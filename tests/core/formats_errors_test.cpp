// Bad model files: each case says what was broken, and which kind of error must name which file and field.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/file.h"
#include "core/formats/gguf_llama.h"
#include "core/formats/hugging_face.h"
#include "core/formats/llama2c.h"
#include "core/formats/safetensors.h"
#include "core/formats/sentencepiece_model.h"
#include "core/formats/tokenizer_json.h"
#include "core/models/load.h"
#include "tests/core/small_model.h"
#include "tests/data.h"

using namespace starling::core;
using starling::tests::Folder;
using starling::tests::small_model;

namespace {

std::string seed(const std::string& name) {
  return read_text(std::filesystem::path(STARLING_SOURCE_DIR) / "tests/fuzz/corpus" / name, 1 << 20);
}

Bytes bytes_of(const std::string& text) { return std::as_bytes(std::span(text.data(), text.size())); }

template <class T>
std::string patched(std::string file, std::size_t offset, T value) {
  REQUIRE(offset + sizeof(T) <= file.size());
  std::memcpy(file.data() + offset, &value, sizeof(T));
  return file;
}

/// Overwrites bytes behind the first occurrence of `text`, `skip` bytes after its end.
template <class T>
std::string patched_after(std::string file, const std::string& text, std::size_t skip, T value) {
  const std::size_t at = file.find(text);
  REQUIRE(at != std::string::npos);
  return patched(std::move(file), at + text.size() + skip, value);
}

std::string replaced(std::string file, const std::string& from, const std::string& to) {
  const std::size_t at = file.find(from);
  REQUIRE(at != std::string::npos);
  return file.replace(at, from.size(), to);
}

struct Case {
  std::string name;
  std::string file;                         // its name in the folder
  std::function<std::string()> content;
  std::function<void(const std::filesystem::path&)> use;
  Kind kind;
  std::vector<std::string> says;            // besides the name of the file
};

void load(const std::filesystem::path& path) { load_model(path, {.tokenizer = {}, .vocabulary_optional = true}); }
void vocabulary(const std::filesystem::path& path) { load_vocabulary(path); }
void config(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  decode_config_json(file->bytes(), file->name());
}
void describe_safetensors(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  decode_safetensors(file->bytes(), file->name());
}
void shard_index(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  decode_safetensors_index(file->bytes(), file->name());
}

std::string good() { return seed("gguf/llama_q4_0.gguf"); }
std::string good_bin() { return seed("llama2c/tied.bin"); }
std::string with_header(const std::string& header, std::size_t data) {
  const auto length = static_cast<std::uint64_t>(header.size());
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + std::string(data, '\0');
}

const std::uint64_t kHuge = std::uint64_t{1} << 60;

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases{
      {"gguf: wrong magic", "a.gguf", [] { return patched(good(), 0, 'H'); }, load, Kind::malformed, {"magic"}},
      {"gguf: version 1", "a.gguf", [] { return patched(good(), 4, 1u); }, load, Kind::unsupported, {"version"}},
      {"gguf: big-endian", "a.gguf", [] { return patched(good(), 4, 0x03000000u); }, load, Kind::unsupported, {"big-endian"}},
      {"gguf: huge tensor count", "a.gguf", [] { return patched(good(), 8, kHuge); }, load, Kind::malformed, {"tensor_count"}},
      {"gguf: huge key count", "a.gguf", [] { return patched(good(), 16, kHuge); }, load, Kind::malformed, {"metadata_kv_count"}},
      {"gguf: huge string", "a.gguf", [] { return patched(good(), 24, kHuge); }, load, Kind::malformed, {"key 0"}},
      {"gguf: value type that does not exist", "a.gguf", [] { return patched_after(good(), "general.name", 0, 99u); }, load,
       Kind::malformed, {"general.name", "99"}},
      {"gguf: huge array", "a.gguf", [] { return patched_after(good(), "tokenizer.ggml.scores", 8, kHuge); }, load,
       Kind::malformed, {"tokenizer.ggml.scores"}},
      {"gguf: array of arrays", "a.gguf", [] { return patched_after(good(), "tokenizer.ggml.scores", 4, 9u); }, load,
       Kind::unsupported, {"tokenizer.ggml.scores"}},
      {"gguf: duplicate key", "a.gguf", [] { return replaced(good(), "general.architecture", "llama.context_length"); },
       load, Kind::malformed, {"llama.context_length", "twice"}},
      {"gguf: other architecture", "a.gguf", [] { return patched_after(good(), "general.architecture", 12, 'j'); }, load,
       Kind::unsupported, {"general.architecture", "jlama"}},
      {"gguf: float where a count belongs", "a.gguf", [] { return patched_after(good(), "llama.block_count", 0, 6u); }, load,
       Kind::malformed, {"llama.block_count", "f32"}},
      {"gguf: zero layers", "a.gguf", [] { return patched_after(good(), "llama.block_count", 4, 0u); }, load, Kind::malformed,
       {"layers"}},
      {"gguf: token id outside", "a.gguf", [] { return patched_after(good(), "tokenizer.ggml.bos_token_id", 4, 8u); }, load,
       Kind::malformed, {"tokenizer.ggml.bos_token_id", "8"}},
      {"gguf: overlapping tensors", "a.gguf", [] { return patched_after(good(), "blk.0.attn_q.weight", 4 + 16 + 4, std::uint64_t{0}); },
       load, Kind::malformed, {"blk.0.attn_q.weight", "offset"}},
      {"gguf: dimensions overflow", "a.gguf", [] { return patched_after(good(), "token_embd.weight", 4, kHuge); }, load,
       Kind::malformed, {"token_embd.weight"}},
      {"gguf: dimension beyond the file", "a.gguf", [] { return patched_after(good(), "output.weight", 4 + 8, kHuge >> 20); }, load,
       Kind::malformed, {"output.weight", "exceed"}},
      {"gguf: five dimensions", "a.gguf", [] { return patched_after(good(), "token_embd.weight", 0, 5u); }, load, Kind::malformed,
       {"token_embd.weight", "5"}},
      {"gguf: removed element type", "a.gguf", [] { return patched_after(good(), "token_embd.weight", 4 + 16, 4u); }, load,
       Kind::malformed, {"token_embd.weight", "removed"}},
      {"gguf: unknown element type, used", "a.gguf", [] { return patched_after(good(), "output.weight", 4 + 16, 200u); }, load,
       Kind::unsupported, {"output.weight", "200"}},
      {"gguf: a tensor is missing", "a.gguf", [] { return replaced(good(), "blk.0.ffn_gate", "blk.0.ffn_gato"); }, load,
       Kind::malformed, {"blk.0.ffn_gate.weight", "missing"}},
      {"gguf: a tensor that is no part of the model", "a.gguf",
       [] { return replaced(seed("gguf/llama_divisors.gguf"), "rope_freqs.weight", "blk.0.att_q.bias."); }, load,
       Kind::unsupported, {"blk.0.att_q.bias."}},
      {"gguf: shape and configuration differ", "a.gguf", [] { return patched_after(good(), "llama.vocab_size", 4, 9u); }, load,
       Kind::malformed, {"token_embd.weight", "9"}},
      {"llama2c: size not explained", "a.bin", [] { return good_bin() + "x"; }, load, Kind::malformed, {"header"}},
      {"llama2c: other vocabulary size", "a.bin", [] { return patched(good_bin(), 20, 6); }, load, Kind::malformed, {"header"}},
      {"llama2c: heads do not divide", "a.bin", [] { return patched(good_bin(), 12, 3); }, load, Kind::malformed, {"n_heads"}},
      {"llama2c: negative layers", "a.bin", [] { return patched(good_bin(), 8, -2); }, load, Kind::malformed, {"layers"}},
      {"llama2c: export version 1", "a.bin", [] { return patched(good_bin(), 0, 0x616b3432); }, load, Kind::unsupported, {"version"}},
      {"llama2c: no tokenizer beside it", "a.bin", good_bin, [](const auto& path) { load_model(path); }, Kind::missing,
       {"tok5.bin", "tokenizer.bin"}},
      {"tokenizer.bin: token longer than declared", "tokenizer.bin",
       [] { return patched(seed("llama2c_tokenizer/words.bin"), 8, 4); }, vocabulary, Kind::malformed, {"token 0"}},
      {"tokenizer.bin: ends inside a token", "tokenizer.bin",
       [] { return seed("llama2c_tokenizer/words.bin").substr(0, 20); }, vocabulary, Kind::malformed, {"token 1"}},
      {"safetensors: huge header", "a.safetensors", [] { return patched(seed("safetensors/plain.safetensors"), 0, kHuge); },
       describe_safetensors, Kind::malformed, {"header length"}},
      {"safetensors: broken JSON", "a.safetensors", [] { return with_header("{\"a\": [", 0); }, describe_safetensors,
       Kind::malformed, {"parse error"}},
      {"safetensors: key twice", "a.safetensors", [] { return with_header("{\"a\":{},\"a\":{}}", 0); }, describe_safetensors,
       Kind::malformed, {"\"a\"", "twice"}},
      {"safetensors: overlap", "a.safetensors",
       [] {
         return with_header(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})", 6);
       },
       describe_safetensors, Kind::malformed, {"b.data_offsets"}},
      {"safetensors: shape overflows", "a.safetensors",
       [] { return with_header(R"({"a":{"dtype":"F32","shape":[4000000000,4000000000],"data_offsets":[0,4]}})", 4); },
       describe_safetensors, Kind::malformed, {"a.shape"}},
      {"safetensors: bytes behind the last tensor", "a.safetensors",
       [] { return with_header(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 5); }, describe_safetensors,
       Kind::malformed, {"data"}},
      {"safetensors: no config.json", "a.safetensors", [] { return seed("safetensors/plain.safetensors"); }, load, Kind::missing, {}},
      {"index: reaches outside its folder", "i.json", [] { return std::string(R"({"weight_map":{"a":"../b"}})"); }, shard_index,
       Kind::malformed, {"weight_map.a"}},
      {"config.json: other architecture", "config.json",
       [] { return replaced(seed("config_json/llama2.json"), "LlamaFor", "FalconFor"); }, config, Kind::unsupported, {"architectures"}},
      {"config.json: field of another type", "config.json",
       [] { return replaced(seed("config_json/llama2.json"), "\"hidden_size\": 64", "\"hidden_size\": \"64\""); }, config,
       Kind::malformed, {"hidden_size"}},
      {"config.json: nested too deep", "config.json", [] { return "{\"a\":" + std::string(5000, '['); }, config, Kind::malformed,
       {"deeper"}},
      {"tokenizer.json: unknown expression", "tokenizer.json",
       [] { return replaced(seed("tokenizer_json/llama3.json"), "{1,3}", "{1,4}"); }, vocabulary, Kind::unsupported, {"pre_tokenizer"}},
      {"tokenizer.json: an id far outside", "tokenizer.json",
       [] { return replaced(seed("tokenizer_json/gpt2.json"), "\"ab\": 7", "\"ab\": 9000000"); }, vocabulary, Kind::malformed,
       {"model.vocab"}},
      {"tokenizer.model: broken length", "tokenizer.model",
       [] { return patched(seed("sentencepiece_model/bpe.model"), 1, '\x7f'); }, vocabulary, Kind::malformed, {"piece 0"}},
      {"tokenizer.model: unigram", "tokenizer.model",
       [] { return replaced(seed("sentencepiece_model/bpe.model"), std::string("\x18\x02\x98\x02", 4), std::string("\x18\x01\x98\x02", 4)); },
       vocabulary, Kind::unsupported, {"trainer_spec"}},
  };
  return kCases;
}

}  // namespace

TEST_CASE("bad files are refused with the right kind, naming file and field") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    const Folder folder;
    const auto path = folder / c.file;
    std::ofstream(path, std::ios::binary) << c.content();
    try {
      c.use(path);
      FAIL_CHECK("accepted");
    } catch (const Error& error) {
      const std::string message = error.what();
      CAPTURE(message);
      CHECK(to_string(error.kind()) == to_string(c.kind));
      CHECK(message.find(c.file == "a.safetensors" && c.says.empty() ? "config.json" : c.file) != std::string::npos);
      for (const std::string& part : c.says) CHECK(message.find(part) != std::string::npos);
    }
  }
  CHECK(cases().size() >= 40);
}

TEST_CASE("the wrong tokenizer is refused with both counts") {
  const Folder folder;
  save_model(folder / "a.gguf", small_model({}), Type::f32);
  std::ofstream(folder / "tokenizer.bin", std::ios::binary) << seed("llama2c_tokenizer/words.bin");
  try {
    load_model(folder / "a.gguf", {.tokenizer = folder / "tokenizer.bin"});
    FAIL("accepted");
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK(error.kind() == Kind::malformed);
    for (const char* part : {"a.gguf", "tokenizer.bin", " 2 ", "272"}) CHECK(message.find(part) != std::string::npos);
  }
}

TEST_CASE("a file cut off anywhere is refused, never misread") {
  const auto refused = [](const std::string& name, const auto& decode, std::size_t from = 0) {
    const std::string whole = seed(name);
    CAPTURE(name);
    decode(bytes_of(whole));
    for (std::size_t size = from; size < whole.size(); ++size) {
      // A block of its own, so that a sanitizer sees any read behind its end.
      const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      try {
        decode(std::as_bytes(std::span(cut)));
        CAPTURE(size);
        FAIL_CHECK("accepted");
      } catch (const Error& error) {
        CHECK(error.kind() == Kind::malformed);
      }
    }
  };
  for (const char* name : {"gguf/every_value_type.gguf", "gguf/llama_q4_0.gguf", "gguf/llama_bf16_no_vocabulary_v2.gguf"}) {
    // The data of an unknown type has no size of its own, and the last padding may be missing.
    const std::string whole = seed(name);
    const Gguf file = decode_gguf(bytes_of(whole), name);
    const GgufTensor& last = file.tensors.back();
    CAPTURE(name);
    for (std::size_t size = 0; size < last.offset + last.bytes; ++size) {
      const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      CHECK_THROWS_AS(decode_gguf(std::as_bytes(std::span(cut)), name), Error);
    }
  }
  refused("llama2c/separate_classifier.bin", [](Bytes b) { llama2c_config(b, "a"); });
  refused("safetensors/plain.safetensors", [](Bytes b) { decode_safetensors(b, "a"); });
  refused("config_json/llama3.json", [](Bytes b) { decode_config_json(b, "a"); });
  refused("tokenizer_json/llama3.json", [](Bytes b) { decode_tokenizer_json(b, "a"); });
  refused("safetensors_index/two.json", [](Bytes b) { decode_safetensors_index(b, "a"); });
}

TEST_CASE("an unknown element type does not hinder what does not use it") {
  const std::string file = seed("gguf/every_value_type.gguf");
  const Gguf g = decode_gguf(bytes_of(file), "every.gguf");
  CHECK(g.find_tensor("unknown")->bytes == 64);  // up to the next tensor
  CHECK(g.find_tensor("k")->bytes == 2 * 144);
  CHECK(gguf_tensor(*g.find_tensor("last"), bytes_of(file), nullptr, "every.gguf").shape() == Shape{4});
  CHECK(gguf_tensor(*g.find_tensor("k"), bytes_of(file), nullptr, "every.gguf").type() == Type::q4_k);
  CHECK_THROWS_AS(gguf_tensor(*g.find_tensor("unknown"), bytes_of(file), nullptr, "every.gguf"), Error);
}

TEST_CASE("the GGUF writer refuses what the reference reader would refuse") {
  const Folder folder;
  const Tensor t = Tensor::from_floats({1}, std::vector<float>{1});
  const auto write = [&](std::vector<Outgoing> tensors) { write_gguf(folder / "a.gguf", {}, tensors); };
  CHECK_THROWS_AS(write({outgoing(std::string(64, 'x'), t, Type::f32)}), Error);
  CHECK_THROWS_AS(write({outgoing("x", t, Type::f32), outgoing("x", t, Type::f32)}), Error);
  write({outgoing(std::string(63, 'x'), t, Type::f32)});
  CHECK(std::filesystem::file_size(folder / "a.gguf") % 32 == 0);
}

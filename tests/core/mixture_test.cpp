// Mixtures: which tensor gets which type, against the check values of the rule; and files of every type.
#include "core/quant/mixture.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/file.h"
#include "core/formats/gguf_mixture.h"
#include "core/models/load.h"
#include "core/quant/blocks.h"
#include "tests/core/small_model.h"
#include "tests/oracle/random.h"

using namespace starling::core;
using namespace starling::tests;

namespace {

MixtureModel llama(std::int64_t layers, std::int64_t experts = 0) { return {"llama", layers, 32, 8, experts, true}; }

std::string type_of(const std::string& mixture, const std::string& name, const MixtureModel& model, std::int64_t columns = 2048) {
  const auto type = mixed_type(*find_mixture(mixture), name, {64, columns}, model);
  return type ? std::string(info(*type).name) : "none";
}

std::vector<std::int64_t> layers_of(const std::string& mixture, const std::string& part, const std::string& type, std::int64_t layers) {
  std::vector<std::int64_t> result;
  for (std::int64_t i = 0; i < layers; ++i)
    if (type_of(mixture, fmt::format("blk.{}.{}.weight", i, part), llama(layers)) == type) result.push_back(i);
  return result;
}

using Layers = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("Q4_K_M gives values and down projections of the rule's layers Q6_K") {
  const Layers twenty{0, 1, 4, 7, 10, 13, 16, 17, 18, 19}, sixteen{0, 1, 4, 7, 10, 13, 14, 15};
  for (const char* part : {"attn_v", "ffn_down", "ffn_down_exps", "attn_qkv"}) {
    CAPTURE(part);
    CHECK(layers_of("q4_k_m", part, "q6_k", 20) == twenty);
    CHECK(layers_of("q4_k_m", part, "q6_k", 16) == sixteen);
    CHECK(layers_of("q5_k_m", part, "q6_k", 20) == twenty);
  }
  CHECK(layers_of("q4_k_m", "attn_k", "q4_k", 20).size() == 20);
  CHECK(layers_of("q4_k_m", "ffn_up", "q4_k", 20).size() == 20);
  CHECK(layers_of("q4_k", "ffn_down", "q4_k", 20).size() == 20);
}

TEST_CASE("the smaller mixtures raise the layers that the rule names") {
  CHECK(layers_of("q4_k_s", "attn_v", "q5_k", 20) == Layers{0, 1, 2, 3});
  CHECK(layers_of("q4_k_s", "ffn_down", "q5_k", 20) == Layers{0, 1});
  CHECK(layers_of("q3_k_m", "attn_v", "q5_k", 32) == Layers{0, 1});
  CHECK(layers_of("q3_k_m", "ffn_down", "q5_k", 32) == Layers{0, 1});
  CHECK(layers_of("q3_k_m", "ffn_down", "q4_k", 32).size() == 30);
  CHECK(type_of("q3_k_m", "blk.3.attn_output.weight", llama(32)) == "q4_k");
  CHECK(type_of("q3_k_l", "blk.3.attn_output.weight", llama(32)) == "q5_k");
  CHECK(type_of("q2_k", "blk.3.attn_v.weight", llama(32)) == "q4_k");  // four query heads a value head
  CHECK(type_of("q2_k", "blk.3.attn_v.weight", {"llama", 32, 32, 16, 0, true}) == "q3_k");
  CHECK(type_of("q2_k", "blk.3.ffn_down.weight", llama(32)) == "q3_k");
  CHECK(type_of("q2_k", "blk.3.attn_q.weight", llama(32)) == "q2_k");
}

TEST_CASE("the head is Q6_K, or the embedding where it is the head; only Q8_0 stays") {
  MixtureModel tied = llama(16);
  tied.has_output = false;
  for (const char* mixture : {"q4_0", "q5_1", "q2_k", "q4_k_m", "q6_k"}) {
    CAPTURE(mixture);
    CHECK(type_of(mixture, "output.weight", llama(16)) == "q6_k");
    CHECK(type_of(mixture, "token_embd.weight", tied) == "q6_k");
    CHECK(type_of(mixture, "output.weight", llama(16), 96) == "q8_0");
  }
  CHECK(type_of("q4_0", "token_embd.weight", llama(16)) == "q4_0");
  CHECK(type_of("q8_0", "output.weight", llama(16)) == "q8_0");
}

TEST_CASE("eight experts and eighty layers have exceptions of their own") {
  CHECK(type_of("q4_k_m", "blk.2.attn_v.weight", llama(32, 8)) == "q8_0");
  CHECK(type_of("q4_0", "blk.2.attn_k.weight", llama(32, 8)) == "q8_0");
  CHECK(type_of("q4_k_m", "blk.2.attn_output.weight", llama(32, 8)) == "q5_k");
  CHECK(type_of("q5_k_m", "blk.2.attn_output.weight", llama(32, 8)) == "q5_k");
  CHECK(type_of("q6_k", "blk.2.attn_output.weight", llama(32, 8)) == "q6_k");
  CHECK(type_of("q4_k_m", "blk.5.attn_v.weight", llama(32, 64)) == "q4_k");
  CHECK(type_of("q4_k_m", "blk.11.attn_v.weight", llama(80)) == "q5_k");
  CHECK(type_of("q4_k_m", "blk.11.attn_v.weight", {"gemma3", 80, 32, 8, 0, true}) == "q4_k");
}

TEST_CASE("rows that no super-block divides take a type of small blocks, and F16 where nothing fits") {
  const std::pair<const char*, const char*> fallbacks[] = {
      {"q2_k", "q4_0"}, {"q3_k", "q4_0"}, {"q4_k", "q5_0"}, {"q5_k", "q5_1"}, {"q6_k", "q8_0"}, {"q5_1", "q5_1"}};
  for (const auto& [wanted, given] : fallbacks) {
    CAPTURE(wanted);
    CHECK(type_of(wanted, "blk.9.ffn_up.weight", llama(32), 288) == given);
    CHECK(type_of(wanted, "blk.9.ffn_up.weight", llama(32), 280) == "f16");
  }
}

TEST_CASE("norms, routers, biases and vectors are not quantised") {
  for (const char* name : {"blk.0.attn_norm.weight", "blk.0.ffn_gate_inp.weight", "blk.0.attn_q.bias", "output_norm.weight"})
    CHECK(type_of("q4_k_m", name, llama(32)) == "none");
  CHECK(!mixed_type(*find_mixture("q8_0"), "rope_freqs.weight", {64}, llama(32)));
  CHECK(find_mixture("q9_z") == nullptr);
}

TEST_CASE("a file goes through every type, on any number of threads the same, and decodes to the quantised rows") {
  const Folder folder;
  LlamaConfig config;
  config.width = 256, config.heads = 8, config.kv_heads = 4, config.head_size = 32, config.ffn = 512, config.layers = 2;
  config.tied = false;
  const LlamaModel model = small_model(config);
  Pool one(1), three(3);
  const std::string plain = (folder / "plain.gguf").string(), out = (folder / "out.gguf").string(), again = (folder / "again.gguf").string();
  save_gguf(plain, model, Type::f32);
  for (const char* name : {"f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "q4_k_m"}) {
    CAPTURE(name);
    const Mixture& mixture = *find_mixture(name);
    convert_gguf(plain, out, mixture, three);
    save_gguf(again, model, mixture, one);
    const auto file = MappedFile::open(out), other = MappedFile::open(again);
    CHECK(std::ranges::equal(file->bytes(), other->bytes()));
    const Gguf gguf = decode_gguf(file->bytes(), out);
    CHECK(std::get<std::int64_t>(gguf.find("general.file_type")->data) == mixture.file_type);
    const LlamaModel back = load_model(out);
    CHECK(back.config == model.config);
    CHECK(back.blocks[1].up.type() == mixture.type);
    CHECK(back.blocks[1].attention_norm.type() == Type::f32);
    const Tensor expected = convert(model.blocks[1].down, back.blocks[1].down.type());
    CHECK(std::ranges::equal(back.blocks[1].down.bytes(), expected.bytes()));
    convert_gguf(out, again, *find_mixture("f32"), one);
    const Tensor up = to_float(back.blocks[1].up);
    CHECK(std::ranges::equal(load_model(again).blocks[1].up.floats(), up.floats()));
  }
}

TEST_CASE("rows are converted whatever pieces they come in, and a bad value names its tensor and row") {
  const auto values = random_floats(6 * 64, 3);
  const auto pieces = [&](std::size_t piece) {
    return Outgoing{"w", Type::f32, {6, 64}, [&, piece](const Sink& sink) {
                      const auto bytes = std::as_bytes(std::span(values));
                      for (std::size_t at = 0; at < bytes.size(); at += piece) sink(bytes.subspan(at, std::min(piece, bytes.size() - at)));
                    }};
  };
  Pool pool(2);
  const Tensor expected = convert(Tensor::from_floats({6, 64}, values), Type::q5_1);
  for (const std::size_t piece : {1u, 100u, 256u, 300u, 1536u}) {
    CAPTURE(piece);
    std::vector<std::byte> written;
    write_checked(converted(pieces(piece), Type::q5_1, pool), [&](Bytes b) { written.insert(written.end(), b.begin(), b.end()); });
    CHECK(std::ranges::equal(written, expected.bytes()));
  }
  std::vector<float> bad(3 * 64, 0.5f);
  bad[2 * 64 + 5] = std::numeric_limits<float>::infinity();
  const Outgoing infinite = outgoing_floats("blk.0.w", {3, 64}, bad);
  try {
    write_checked(converted(infinite, Type::q4_1, pool), [](Bytes) {});
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.kind() == Kind::unsupported);
    CHECK(std::string(error.what()).find("tensor blk.0.w, row 2: q4_1 cannot hold the value inf") != std::string::npos);
  }
}

TEST_CASE("a file whose blocks are cut short, out of place or do not divide its rows is refused") {
  const Folder folder;
  const std::string path = (folder / "a.gguf").string();
  Pool pool(1);
  for (const Type type : {Type::q4_1, Type::q5_0, Type::q5_1, Type::q2_k, Type::q3_k, Type::q4_k, Type::q5_k, Type::q6_k}) {
    CAPTURE(info(type).name);
    const Tensor tensor = random_tensor(type, {3, 512}, 7);
    const std::vector<Outgoing> tensors{outgoing("w", tensor, type)};
    write_gguf(path, {}, tensors);
    const std::string whole = read_text(path, 1 << 20);
    const auto refused = [&](const std::string& content, const std::string& said) {
      try {
        decode_gguf(std::as_bytes(std::span(content)), "a.gguf");
        FAIL_CHECK("accepted");
      } catch (const Error& error) {
        CHECK(error.kind() == Kind::malformed);
        CHECK(std::string(error.what()).find(said) != std::string::npos);
      }
    };
    const Gguf good = decode_gguf(std::as_bytes(std::span(whole)), "a.gguf");
    const std::size_t end = good.tensors[0].offset + tensor.bytes().size();
    CHECK(std::ranges::equal(std::as_bytes(std::span(whole)).subspan(good.tensors[0].offset, tensor.bytes().size()), tensor.bytes()));
    refused(whole.substr(0, end - 1), "exceed the file");
    refused(whole.substr(0, good.tensors[0].offset), "exceed the file");
    // After the name: dimensions u32, columns u64, rows u64, type u32, offset u64.
    const std::size_t name = whole.find("w", 24);
    std::string columns = whole, offset = whole;
    columns[name + 5] = static_cast<char>(16);  // 528 columns
    if (info(type).block_length == 256) refused(columns, "needs a multiple of 256");
    columns[name + 5] = static_cast<char>(1);
    refused(columns, "needs a multiple of");
    offset[name + 25] = static_cast<char>(16);
    refused(offset, "data offset 16");
  }
}

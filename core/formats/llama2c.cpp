// Legacy layout: seven i32 (dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len), then f32 arrays,
// each for all layers together: embedding, attention norms, wq, wk, wv, wo, ffn norms, w1 (gate), w2 (down),
// w3 (up), final norm, two rotary tables (ignored), and a classifier if vocab_size is negative.
#include "core/formats/llama2c.h"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <optional>

#include "core/formats/llama_tensors.h"

namespace starling::core {
namespace {

constexpr std::uint64_t kHeaderBytes = 28;
constexpr std::uint32_t kLaterMagic = 0x616b3432;  // "ak42"

Shape shape_of(const LlamaConfig& config, Tensor LlamaBlock::*member) {
  const auto parts = block_parts();
  const auto at = std::find_if(parts.begin(), parts.end(), [&](const auto& part) { return part.own == member; });
  return part_shape(*at, config, whole(config));
}

LlamaConfig read_header(Reader& reader) {
  LlamaConfig c;
  c.width = reader.number<std::int32_t>("dim");
  check(static_cast<std::uint32_t>(c.width) != kLaterMagic, Kind::unsupported,
        "{}: version: only the legacy export of llama2.c is supported, not the ones with a magic number",
        reader.source());
  c.ffn = reader.number<std::int32_t>("hidden_dim");
  c.layers = reader.number<std::int32_t>("n_layers");
  c.heads = reader.number<std::int32_t>("n_heads");
  c.kv_heads = reader.number<std::int32_t>("n_kv_heads");
  const std::int64_t vocabulary = reader.number<std::int32_t>("vocab_size");
  c.tied = vocabulary > 0;  // negative: a separate classifier
  c.vocabulary = std::abs(vocabulary);
  c.context = reader.number<std::int32_t>("seq_len");
  reader.require(c.heads > 0 && c.width > 0 && c.width % c.heads == 0, "n_heads", "{} heads do not divide dim {}", c.heads,
                 c.width);
  c.head_size = c.width / c.heads;
  validate(c, reader.source());
  return c;
}

/// Bytes that the header asks for, nullopt on overflow.
std::optional<std::uint64_t> explained_bytes(const LlamaConfig& c) {
  std::optional<std::uint64_t> floats = 0;
  const auto add = [&](std::initializer_list<std::int64_t> sizes) {
    std::optional<std::uint64_t> product = 1;
    for (const std::int64_t size : sizes)
      if (product) product = checked_multiply(*product, static_cast<std::uint64_t>(size));
    floats = floats && product ? checked_add(*floats, *product) : std::nullopt;
  };
  add({c.vocabulary, c.width, c.tied ? 1 : 2});
  for (const auto member : kLlama2cOrder) {
    const Shape shape = shape_of(c, member);
    add({c.layers, shape.front(), shape.size() > 1 ? shape.back() : 1});
  }
  add({c.width});
  add({c.context, c.head_size});
  if (!floats) return std::nullopt;
  const auto bytes = checked_multiply(*floats, sizeof(float));
  return bytes ? checked_add(*bytes, kHeaderBytes) : std::nullopt;
}

}  // namespace

LlamaConfig llama2c_config(Bytes file, const std::string& source) {
  Reader reader(file, source);
  const LlamaConfig config = read_header(reader);
  const auto expected = explained_bytes(config);
  check(expected == file.size(), Kind::malformed, "{}: header: asks for {} bytes, the file has {}", source,
        expected ? fmt::format("{}", *expected) : "too many", file.size());
  return config;
}

LlamaModel decode_llama2c(Bytes file, std::shared_ptr<const void> keeper, const std::string& source) {
  LlamaModel model;
  const LlamaConfig& c = model.config = llama2c_config(file, source);
  Reader reader(file, source);
  reader.take(kHeaderBytes, "header");
  const auto next = [&](const Shape& shape, std::string_view field) {
    return Tensor::borrowed(Type::f32, shape, reader.take(byte_size(Type::f32, shape), field), keeper);
  };
  model.ends.embedding = next({c.vocabulary, c.width}, "token_embedding");
  model.blocks.resize(static_cast<std::size_t>(c.layers));
  for (const auto member : kLlama2cOrder)
    for (LlamaBlock& block : model.blocks) block.*member = next(shape_of(c, member), "weights");
  model.ends.output_norm = next({c.width}, "final norm");
  reader.take(static_cast<std::uint64_t>(c.context * c.head_size) * sizeof(float), "rotary tables");
  model.ends.output = c.tied ? model.ends.embedding : next({c.vocabulary, c.width}, "classifier");
  return model;
}

}  // namespace starling::core

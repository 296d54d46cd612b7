// The writing half of llama2.c's files.
#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "core/formats/llama2c.h"
#include "core/formats/outgoing.h"

namespace starling::core {
namespace {

std::string with_plain_spaces(std::string_view text) {
  constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581
  std::string result;
  while (!text.empty()) {
    const bool space = text.starts_with(kSpace);
    result += space ? ' ' : text.front();
    text.remove_prefix(space ? kSpace.size() : 1);
  }
  return result;
}

}  // namespace

void save_llama2c(const std::filesystem::path& path, const LlamaModel& model) {
  const LlamaConfig& c = model.config;
  const std::string name = path.string();
  LlamaConfig plain;
  plain.width = c.width, plain.layers = c.layers, plain.heads = c.heads, plain.kv_heads = c.kv_heads, plain.head_size = c.head_size, plain.ffn = c.ffn;
  plain.vocabulary = c.vocabulary, plain.context = c.context, plain.norm_epsilon = c.norm_epsilon, plain.rope_base = c.rope_base;
  plain.rope_divisors = c.rope_divisors, plain.rope_scaling = c.rope_scaling, plain.tied = c.tied;
  check(c == plain, Kind::unsupported, "{}: llama2.c files hold plain Llama models only, not this {} one", name, c.family);
  check(c.heads * c.head_size == c.width && c.rope_divisors.empty() && c.rope_base == 10000.0f && c.norm_epsilon == 1e-5f,
        Kind::unsupported,
        "{}: llama2.c files cannot hold this model (head size {}, rope base {}, scaled rope {}, norm epsilon {})", name,
        c.head_size, c.rope_base, !c.rope_divisors.empty(), c.norm_epsilon);
  Writer header;
  for (const std::int64_t value :
       {c.width, c.ffn, c.layers, c.heads, c.kv_heads, c.tied ? c.vocabulary : -c.vocabulary, c.context})
    header.number(static_cast<std::int32_t>(value));
  std::vector<float> cosines, sines;
  for (std::int64_t position = 0; position < c.context; ++position) {
    for (std::int64_t pair = 0; pair < c.head_size / 2; ++pair) {
      const double exponent = -2.0 * static_cast<double>(pair) / static_cast<double>(c.head_size);
      const double angle = static_cast<double>(position) * std::pow(10000.0, exponent);
      cosines.push_back(static_cast<float>(std::cos(angle)));
      sines.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  write_file(path, [&](const Sink& sink) {
    const auto write = [&](const Tensor& tensor) { write_checked(outgoing("weights", tensor, Type::f32), sink); };
    sink(header.view());
    write(model.ends.embedding);
    for (const auto member : kLlama2cOrder)
      for (const LlamaBlock& block : model.blocks) write(block.*member);
    write(model.ends.output_norm);
    sink(std::as_bytes(std::span(cosines)));
    sink(std::as_bytes(std::span(sines)));
    if (!c.tied) write(model.ends.output);
  });
}

void save_llama2c_tokenizer(const std::filesystem::path& path, const Vocabulary& v) {
  check(v.model == TokenizerModel::sentencepiece, Kind::unsupported,
        "{}: llama2.c tokenizers hold only vocabularies of the sentencepiece kind", path.string());
  Writer body;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < v.pieces.size(); ++i) {
    std::string text = with_plain_spaces(v.pieces[i]);
    const auto id = static_cast<TokenId>(i);
    if (id == v.bos || id == v.eos) text = fmt::format("\n{}\n", text);
    longest = std::max(longest, text.size());
    body.number(v.scores.empty() ? 0.0f : v.scores[i]);
    body.number(static_cast<std::uint32_t>(text.size()));
    body.text(text);
  }
  Writer head;
  head.number(static_cast<std::uint32_t>(longest));
  write_file(path, [&](const Sink& sink) {
    sink(head.view());
    sink(body.view());
  });
}

}  // namespace starling::core

#include "core/models/bert.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/ops/attention.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/quant/blocks.h"

namespace starling::core {
namespace {

/// One text on its way through the blocks; all values are {tokens, columns}.
class Encoder {
 public:
  Encoder(const BertModel& model, std::span<const TokenId> tokens, Pool& pool)
      : model_(model), config_(model.config), tokens_(tokens), rows_(static_cast<std::int64_t>(tokens.size())), pool_(pool) {}

  std::vector<float> run() {
    std::vector<float> x = embedded();
    norm(x, model_.embedding_norm);
    for (const BertBlock& block : model_.blocks) {
      add_to(product(attended(x, block), block.output), x);
      norm(x, block.attention_norm);
      std::vector<float> inner = product(x, block.up);
      activate(Activation::gelu, inner, inner, pool_);
      add_to(product(inner, block.down), x);
      norm(x, block.ffn_norm);
    }
    return x;
  }

 private:
  /// Of every token its own vector, that of its place and that of the first kind of text.
  std::vector<float> embedded() const {
    const auto width = static_cast<std::size_t>(config_.width);
    std::vector<float> x(tokens_.size() * width), other(width);
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      const auto row = std::span(x).subspan(i * width, width);
      dequantize(model_.tokens.type(), model_.tokens.row_bytes(tokens_[i]), row);
      dequantize(model_.types.type(), model_.types.row_bytes(0), other);
      add_to(other, row);
      dequantize(model_.positions.type(), model_.positions.row_bytes(static_cast<std::int64_t>(i)), other);
      add_to(other, row);
    }
    return x;
  }

  /// Every row minus its mean, over its deviation, times the gain, plus the bias.
  void norm(std::span<float> x, const Affine& a) const {
    const auto width = static_cast<std::size_t>(config_.width);
    const auto gain = a.weight.floats(), bias = a.bias.floats();
    for (std::size_t at = 0; at < x.size(); at += width) {
      double sum = 0, squares = 0;
      for (std::size_t i = 0; i < width; ++i) sum += static_cast<double>(x[at + i]);
      const double mean = sum / static_cast<double>(width);
      for (std::size_t i = 0; i < width; ++i) squares += (static_cast<double>(x[at + i]) - mean) * (static_cast<double>(x[at + i]) - mean);
      const double scale = 1 / std::sqrt(squares / static_cast<double>(width) + static_cast<double>(config_.norm_epsilon));
      for (std::size_t i = 0; i < width; ++i) x[at + i] = static_cast<float>((static_cast<double>(x[at + i]) - mean) * scale) * gain[i] + bias[i];
    }
  }

  std::vector<float> product(std::span<const float> x, const Affine& a) const {
    std::vector<float> y(tokens_.size() * static_cast<std::size_t>(a.weight.rows()));
    matmul(a.weight, x, rows_, y, pool_);
    add_bias(a.bias.floats(), rows_, y);
    return y;
  }

  /// {rows, heads, size} as a cache has it: {heads, rows, size}.
  std::vector<float> by_head(std::span<const float> x) const {
    const auto heads = static_cast<std::size_t>(config_.heads), size = static_cast<std::size_t>(config_.width / config_.heads);
    std::vector<float> y(x.size());
    for (std::size_t row = 0; row < tokens_.size(); ++row)
      for (std::size_t head = 0; head < heads; ++head)
        std::copy_n(x.data() + (row * heads + head) * size, size, y.data() + (head * tokens_.size() + row) * size);
    return y;
  }

  /// Every row sees all: each is asked as if it were the last one.
  std::vector<float> attended(std::span<const float> x, const BertBlock& block) const {
    const std::vector<float> query = product(x, block.query), keys = by_head(product(x, block.key)), values = by_head(product(x, block.value));
    const CacheView view{.type = Type::f32, .kv_heads = config_.heads, .positions = rows_, .head_size = config_.width / config_.heads,
                         .keys = std::as_bytes(std::span(keys)).data(), .values = std::as_bytes(std::span(values)).data()};
    const AttentionPart last{view, rows_ - 1, 1};
    std::vector<float> result(query.size());
    const auto width = static_cast<std::size_t>(config_.width);
    for (std::size_t at = 0; at < query.size(); at += width)
      attention(std::span(query).subspan(at, width), config_.heads, {&last, 1}, std::span(result).subspan(at, width), pool_);
    return result;
  }

  const BertModel& model_;
  const BertConfig& config_;
  std::span<const TokenId> tokens_;
  std::int64_t rows_;
  Pool& pool_;
};

}  // namespace

void validate(const BertConfig& c, const std::string& source) {
  const auto within = [&](std::string_view field, std::int64_t value, std::int64_t most) {
    check(value >= 1 && value <= most, Kind::malformed, "{}: {} is {}, 1 to {} possible", source, field, value, most);
  };
  within("width", c.width, 1 << 16);
  within("layers", c.layers, 1024);
  within("heads", c.heads, 1024);
  within("ffn", c.ffn, 1 << 20);
  within("vocabulary", c.vocabulary, 1 << 24);
  within("context", c.context, 1 << 20);
  check(c.width % c.heads == 0 && c.width / c.heads <= kHeadSizeMax, Kind::malformed, "{}: {} heads for a width of {}", source, c.heads, c.width);
  check(c.norm_epsilon > 0 && c.norm_epsilon < 1, Kind::malformed, "{}: norm_epsilon is {}", source, c.norm_epsilon);
}

std::vector<float> encode(const BertModel& model, std::span<const TokenId> tokens, Pool& pool) {
  const BertConfig& c = model.config;
  check(!tokens.empty() && static_cast<std::int64_t>(tokens.size()) <= c.context, Kind::usage, "a text of {} tokens: this encoder takes 1 to {}",
        tokens.size(), c.context);
  for (const TokenId token : tokens)
    check(token >= 0 && token < c.vocabulary, Kind::usage, "token id {} is outside the vocabulary of {}", token, c.vocabulary);
  return Encoder(model, tokens, pool).run();
}

std::vector<float> embedding(const BertModel& model, std::span<const TokenId> tokens, Pool& pool) {
  const std::vector<float> rows = encode(model, tokens, pool);
  const auto width = static_cast<std::size_t>(model.config.width);
  std::vector<double> sum(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(width));
  if (model.config.pooling == Pooling::mean)
    for (std::size_t at = width; at < rows.size(); ++at) sum[at % width] += static_cast<double>(rows[at]);
  double squares = 0;
  for (const double value : sum) squares += value * value;
  const double length = std::sqrt(squares);
  std::vector<float> result;
  for (const double value : sum) result.push_back(length > 0 ? static_cast<float>(value / length) : 0.0f);
  return result;
}

}  // namespace starling::core

#include "core/models/bert.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "core/error.h"
#include "core/ops/attention.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/moments.h"
#include "core/quant/blocks.h"

namespace starling::core {
namespace {

using Text = std::span<const TokenId>;

/// A batch of texts on its way through the blocks; all values are {tokens of all texts, columns}.
class Encoder {
 public:
  Encoder(const BertModel& model, std::span<const Text> texts, Pool& pool) : model_(model), config_(model.config), texts_(texts), pool_(pool) {
    for (const Text text : texts) rows_ += static_cast<std::int64_t>(text.size());
  }

  std::vector<float> run() {
    std::vector<float> x = embedded();
    norm(x, model_.embedding_norm);
    std::vector<float> attended, inner, change;  // of all blocks: fresh memory for each would cost as much as a product
    for (const BertBlock& block : model_.blocks) {
      attend(x, block, attended);
      product(attended, block.output, change);
      norm(x, block.attention_norm, change);
      product(x, block.up, inner);
      activate(Activation::gelu, inner, inner, pool_);
      product(inner, block.down, change);
      norm(x, block.ffn_norm, change);
    }
    return x;
  }

 private:
  /// Of every token its own vector, that of its place and that of the first kind of text.
  std::vector<float> embedded() const {
    const auto width = static_cast<std::size_t>(config_.width);
    std::vector<float> x(static_cast<std::size_t>(rows_) * width), other(width);
    std::size_t at = 0;
    for (const Text text : texts_)
      for (std::size_t i = 0; i < text.size(); ++i, at += width) {
        const auto row = std::span(x).subspan(at, width);
        dequantize(model_.tokens.type(), model_.tokens.row_bytes(text[i]), row);
        dequantize(model_.types.type(), model_.types.row_bytes(0), other);
        add_to(other, row);
        dequantize(model_.positions.type(), model_.positions.row_bytes(static_cast<std::int64_t>(i)), other);
        add_to(other, row);
      }
    return x;
  }

  /// Every row, with `change` added if there is one, minus its mean, over its deviation, times the gain, plus the bias.
  void norm(std::span<float> x, const Affine& a, std::span<const float> change = {}) const {
    const float *gain = a.weight.floats().data(), *bias = a.bias.floats().data();
    const std::int64_t width = config_.width;
    const auto body = [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        float* const values = x.data() + row * width;
        if (!change.empty()) add_to(change.subspan(static_cast<std::size_t>(row * width), static_cast<std::size_t>(width)), {values, static_cast<std::size_t>(width)});
        const Moments m = moments(values, {1, width, 0});
        const double scale = 1 / std::sqrt(m.variance + static_cast<double>(config_.norm_epsilon));
        normalise_row(values, {width, static_cast<float>(m.mean), static_cast<float>(scale)}, gain, bias, values);
      }
    };
    share_rows(width, body);
  }

  void product(std::span<const float> x, const Affine& a, std::vector<float>& y) const {
    const std::int64_t width = a.weight.rows();
    y.resize(static_cast<std::size_t>(rows_ * width));
    matmul(a.weight, x, rows_, y, pool_);
    share_rows(width, [&](std::int64_t begin, std::int64_t end) {
      add_bias(a.bias.floats(), end - begin, std::span(y).subspan(static_cast<std::size_t>(begin * width), static_cast<std::size_t>((end - begin) * width)));
    });
  }

  /// body(begin, end) over all rows, of `width` values each.
  template <class Body>
  void share_rows(std::int64_t width, const Body& body) const {
    constexpr std::int64_t kWorthwhile = 1 << 14;  // values: some microseconds
    pool_.parallel_for(rows_, 1 + kWorthwhile / width, std::ref(body));
  }

  /// Every row of a text sees all of it. To the kernel they are query heads of the text's last place, so many for each head
  /// of keys and values.
  void attend(std::span<const float> x, const BertBlock& block, std::vector<float>& result) {
    auto& [query, keys, values, q, k, v, out] = scratch_;
    product(x, block.query, query);
    product(x, block.key, keys);
    product(x, block.value, values);
    result.resize(query.size());
    std::size_t at = 0;
    for (const Text text : texts_) {
      const std::size_t size = text.size() * static_cast<std::size_t>(config_.width);
      const auto rows = static_cast<std::int64_t>(text.size());
      swap_heads(std::span(query).subspan(at, size), rows, config_.heads, q);
      swap_heads(std::span(keys).subspan(at, size), rows, config_.heads, k);
      swap_heads(std::span(values).subspan(at, size), rows, config_.heads, v);
      const CacheView view{.type = Type::f32, .kv_heads = config_.heads, .positions = rows, .head_size = config_.width / config_.heads,
                           .keys = std::as_bytes(std::span(k)).data(), .values = std::as_bytes(std::span(v)).data()};
      const AttentionPart last{view, rows - 1, 1};
      out.resize(size);
      attention(q, config_.heads * rows, {&last, 1}, out, pool_);
      swap_heads(out, config_.heads, rows, q);
      std::copy(q.begin(), q.end(), result.begin() + static_cast<std::ptrdiff_t>(at));
      at += size;
    }
  }

  /// {outer, inner, head size} as {inner, outer, head size}.
  void swap_heads(std::span<const float> x, std::int64_t outer, std::int64_t inner, std::vector<float>& y) const {
    const auto size = static_cast<std::size_t>(config_.width / config_.heads);
    const auto a = static_cast<std::size_t>(outer), b = static_cast<std::size_t>(inner);
    y.resize(x.size());
    for (std::size_t i = 0; i < a; ++i)
      for (std::size_t j = 0; j < b; ++j) std::copy_n(x.data() + (i * b + j) * size, size, y.data() + (j * a + i) * size);
  }

  const BertModel& model_;
  const BertConfig& config_;
  std::span<const Text> texts_;
  std::int64_t rows_ = 0;
  Pool& pool_;
  std::array<std::vector<float>, 7> scratch_;  // of attend()
};

/// The mean of a text's rows or the first of them, as a vector of length one.
std::vector<float> pooled(const BertConfig& config, std::span<const float> rows) {
  const auto width = static_cast<std::size_t>(config.width);
  std::vector<double> sum(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(width));
  if (config.pooling == Pooling::mean)
    for (std::size_t at = width; at < rows.size(); at += width)
      for (std::size_t i = 0; i < width; ++i) sum[i] += static_cast<double>(rows[at + i]);
  double squares = 0;
  for (const double value : sum) squares += value * value;
  const double length = std::sqrt(squares);
  std::vector<float> result;
  for (const double value : sum) result.push_back(length > 0 ? static_cast<float>(value / length) : 0.0f);
  return result;
}

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

void check_text(const BertConfig& c, Text text) {
  check(!text.empty() && static_cast<std::int64_t>(text.size()) <= c.context, Kind::usage, "a text of {} tokens: this encoder takes 1 to {}", text.size(),
        c.context);
  for (const TokenId token : text)
    check(token >= 0 && token < c.vocabulary, Kind::usage, "token id {} is outside the vocabulary of {}", token, c.vocabulary);
}

std::vector<float> encode(const BertModel& model, std::span<const Text> texts, Pool& pool) {
  for (const Text text : texts) check_text(model.config, text);
  return texts.empty() ? std::vector<float>{} : Encoder(model, texts, pool).run();
}

std::vector<std::vector<float>> embeddings(const BertModel& model, std::span<const Text> texts, Pool& pool) {
  const std::vector<float> rows = encode(model, texts, pool);
  std::vector<std::vector<float>> result;
  std::size_t at = 0;
  for (const Text text : texts) {
    const std::size_t size = text.size() * static_cast<std::size_t>(model.config.width);
    result.push_back(pooled(model.config, std::span(rows).subspan(at, size)));
    at += size;
  }
  return result;
}

}  // namespace starling::core

// The trainable Llama: a tape as a backend of the one equation (models/llama_equation.h), parameters under the names of
// GGUF. Initialised as usual: normal, standard deviation 0.02, where a block adds to the residual stream divided by
// sqrt(2 layers) (Radford et al. 2019).
#include "core/train/llama.h"

#include <cmath>

#include "core/error.h"
#include "core/formats/llama_tensors.h"
#include "core/models/llama_equation.h"

namespace starling::core {
namespace {

/// Values {batch * length, columns}.
class Taped {
 public:
  using Weights = LlamaWeights<Var, Var, Var>;
  using Indices = LlamaWeights<std::size_t, std::size_t, std::size_t>;

  Taped(Tape& t, const LlamaConfig& config, std::span<const Indices> blocks, std::int64_t batch, std::int64_t length)
      : t_(t), config_(config), blocks_(blocks), batch_(batch), length_(length) {}

  Weights weights(std::int64_t layer) const {
    const Indices& i = blocks_[static_cast<std::size_t>(layer)];
    return {t_.parameter(i.attention_norm), t_.parameter(i.query),    t_.parameter(i.key),  t_.parameter(i.value), t_.parameter(i.attention_output),
            t_.parameter(i.ffn_norm),       t_.parameter(i.gate),     t_.parameter(i.up),   t_.parameter(i.down)};
  }
  Var norm(Var x, Var gain) const { return rms_norm(t_, x, gain, config_.norm_epsilon); }
  Var product(Var w, Var x) const { return dense(t_, x, w); }
  Var head_norm(Var x, Var) const { return x; }
  Var post_norm(Var x, Var) const { return x; }
  Var rotary(Var x, std::int64_t) const { return core::rotary(t_, sequences(x), config_.head_size, config_.rope_base); }
  Var attention(Var query, Var key, Var value, std::int64_t) const {
    const Var y = core::attention(t_, query, key, sequences(value), config_.heads, config_.kv_heads, true);
    return reshape(t_, y, {batch_ * length_, t_.shape(y)[2]});
  }
  Var gated(Var gate, Var up) const { return swiglu(t_, gate, up); }
  Var partial(Var w, Var x) const { return dense(t_, x, w); }
  Var all_reduce(Var terms) const { return terms; }
  Var add(Var x, Var y) const { return core::add(t_, x, y); }

 private:
  Var sequences(Var x) const { return reshape(t_, x, {batch_, length_, t_.shape(x).back()}); }

  Tape& t_;
  const LlamaConfig& config_;
  std::span<const Indices> blocks_;
  std::int64_t batch_, length_;
};

class Llama final : public TrainableModel {
 public:
  explicit Llama(const ModelOptions& o) : Llama(llama_config(o), std::make_shared<ParameterLayout>()) {}

  Var logits(Tape& t, const Batch& batch) const override {
    const Taped math(t, config_, blocks_, batch.size, length_of(batch));
    const Var x = llama_blocks(math, embedding(t, batch.tokens, t.parameter(embedding_)), config_.layers);
    return llama_head(math, x, t.parameter(output_norm_), t.parameter(output_));
  }

  /// All places have a row; where only what follows the last token is asked for, the others do not count.
  std::vector<std::int32_t> row_labels(const Batch& batch) const override {
    const std::int64_t length = length_of(batch);
    if (static_cast<std::int64_t>(batch.labels.size()) == batch.size * length) return TrainableModel::row_labels(batch);
    ensure(static_cast<std::int64_t>(batch.labels.size()) == batch.size, "labels for neither every token nor the last");
    std::vector<std::int32_t> labels(batch.tokens.size(), -1);
    for (std::int64_t b = 0; b < batch.size; ++b) labels[static_cast<std::size_t>((b + 1) * length - 1)] = batch.labels[static_cast<std::size_t>(b)];
    return labels;
  }

 private:
  Llama(LlamaConfig config, const std::shared_ptr<ParameterLayout>& layout) : TrainableModel(layout), config_(std::move(config)) {
    const TensorNames names = gguf_names();
    constexpr double kDeviation = 0.02;
    const double into_stream = kDeviation / std::sqrt(2 * static_cast<double>(config_.layers));
    const auto matrix = [&](const std::string& name, Shape shape, double deviation) {
      return layout->add(name, std::move(shape), {Initial::Kind::normal, deviation, 0});
    };
    const auto norm = [&](const std::string& name, Shape shape) { return layout->add(name, std::move(shape), {Initial::Kind::constant, 1, 0}, Part::norm); };
    embedding_ = matrix(names.embedding, {config_.vocabulary, config_.width}, kDeviation);
    for (std::int64_t layer = 0; layer < config_.layers; ++layer) {
      const auto add = [&](Tensor LlamaBlock::*member) {
        for (const BlockPart& part : block_parts()) {
          if (part.own != member) continue;
          const Shape shape = part_shape(part, config_, whole(config_));
          if (part.is_vector()) return norm(names.block(layer, part), shape);
          const bool last = member == &LlamaBlock::attention_output || member == &LlamaBlock::down;
          return matrix(names.block(layer, part), shape, last ? into_stream : kDeviation);
        }
        fail(Kind::internal, "a block's tensor without a name");
      };
      blocks_.push_back({add(&LlamaBlock::attention_norm), add(&LlamaBlock::query), add(&LlamaBlock::key), add(&LlamaBlock::value),
                         add(&LlamaBlock::attention_output), add(&LlamaBlock::ffn_norm), add(&LlamaBlock::gate), add(&LlamaBlock::up),
                         add(&LlamaBlock::down)});
    }
    output_norm_ = norm(names.output_norm, {config_.width});
    output_ = matrix(names.output, {config_.vocabulary, config_.width}, kDeviation);
  }

  static std::int64_t length_of(const Batch& batch) {
    ensure(batch.size > 0 && !batch.tokens.empty() && batch.tokens.size() % static_cast<std::size_t>(batch.size) == 0, "texts of unequal lengths in a batch");
    return static_cast<std::int64_t>(batch.tokens.size()) / batch.size;
  }

  LlamaConfig config_;
  std::size_t embedding_ = 0, output_norm_ = 0, output_ = 0;
  std::vector<Taped::Indices> blocks_;
};

}  // namespace

LlamaConfig llama_config(const ModelOptions& o) {
  check(o.input.size() == 1, Kind::usage, "model '{}': the data has examples of {}, expected texts", o.name, fmt::join(o.input, "x"));
  const auto or_own = [](std::int64_t given, std::int64_t own) { return given > 0 ? given : own; };
  LlamaConfig c;
  c.width = or_own(o.width, 128);
  c.layers = or_own(o.layers, 4);
  c.heads = or_own(o.heads, std::max<std::int64_t>(1, c.width / 32));
  c.kv_heads = or_own(o.kv_heads, c.heads % 2 == 0 ? c.heads / 2 : c.heads);
  check(c.width % (2 * c.heads) == 0, Kind::usage, "model '{}': {} heads of an even size do not divide the width {}", o.name, c.heads, c.width);
  check(c.heads % c.kv_heads == 0, Kind::usage, "model '{}': kv_heads {} does not divide heads {}", o.name, c.kv_heads, c.heads);
  c.head_size = c.width / c.heads;
  c.ffn = or_own(o.ffn, (c.width * 8 / 3 + 31) / 32 * 32);
  c.vocabulary = o.classes;
  c.context = o.input[0];
  validate(c, fmt::format("model '{}'", o.name));
  return c;
}

LlamaModel trained_llama(const ModelOptions& options, std::span<const float> values, Vocabulary vocabulary) {
  LlamaModel model;
  model.config = llama_config(options);
  model.name = options.name;
  const std::shared_ptr<const ParameterLayout> layout = Llama(options).layout();
  check(static_cast<std::int64_t>(values.size()) == layout->size(), Kind::usage, "model '{}': {} values, expected {}", options.name, values.size(), layout->size());
  check(static_cast<std::int64_t>(vocabulary.pieces.size()) == model.config.vocabulary, Kind::usage, "model '{}': a vocabulary of {} for {} classes",
        options.name, vocabulary.pieces.size(), model.config.vocabulary);
  model.vocabulary = std::move(vocabulary);
  const auto find = [&](const std::string& name) -> std::optional<Tensor> {
    const auto index = layout->find(name);
    if (!index) return std::nullopt;
    const ParameterEntry& entry = layout->entry(*index);
    return Tensor::from_floats(entry.shape, values.subspan(static_cast<std::size_t>(entry.offset), static_cast<std::size_t>(entry.size)));
  };
  fill_tensors(model, gguf_names(), find, fmt::format("model '{}'", options.name));
  return model;
}

std::unique_ptr<TrainableModel> make_llama(const ModelOptions& o) { return std::make_unique<Llama>(o); }

}  // namespace starling::core

// The character model of the federated literature: an embedding, LSTM layers with one bias each, a dense head. By
// default small (embedding 8, one layer of 128); LEAF's has two layers of 256.
#include "core/train/models/layers.h"

namespace starling::core {
namespace {

class CharLstm final : public TrainableModel {
 public:
  explicit CharLstm(const ModelOptions& o) : CharLstm(o, std::make_shared<ParameterLayout>()) {}

  Var logits(Tape& t, const Batch& batch) const override {
    const std::int64_t length = length_of(batch);
    const std::vector<std::int32_t> ids = time_major(batch.tokens, batch.size, length);
    Var x = reshape(t, embedding(t, ids, t.parameter(table_)), {length, batch.size, embedding_});
    for (const Layer& layer : layers_) x = lstm(t, x, {t.parameter(layer.w_in), t.parameter(layer.w_hidden), t.parameter(layer.bias), Var{}});
    if (static_cast<std::int64_t>(batch.labels.size()) == batch.size) return head_(t, time_step(t, x, -1));
    return head_(t, reshape(t, x, {length * batch.size, width_}));
  }

  std::vector<std::int32_t> row_labels(const Batch& batch) const override {
    if (static_cast<std::int64_t>(batch.labels.size()) == batch.size) return TrainableModel::row_labels(batch);
    return time_major(batch.labels, batch.size, length_of(batch));
  }

 private:
  struct Layer {
    std::size_t w_in, w_hidden, bias;
  };

  CharLstm(const ModelOptions& o, const std::shared_ptr<ParameterLayout>& layout) : TrainableModel(layout) {
    embedding_ = o.embedding > 0 ? o.embedding : 8;
    width_ = o.width > 0 ? o.width : 128;
    table_ = layout->add("embedding.weight", {o.classes, embedding_}, {Initial::Kind::normal, 1, 0});
    std::int64_t inputs = embedding_;
    for (std::int64_t i = 0; i < (o.layers > 0 ? o.layers : 1); ++i) {
      const Initial uniform{Initial::Kind::fan_in, 0, width_};
      const std::string at = std::to_string(i);
      layers_.push_back({layout->add("lstm.weight_ih_l" + at, {4 * width_, inputs}, uniform),
                         layout->add("lstm.weight_hh_l" + at, {4 * width_, width_}, uniform), layout->add("lstm.bias_l" + at, {4 * width_}, uniform)});
      inputs = width_;
    }
    head_ = {*layout, "fc", width_, o.classes};
  }

  static std::int64_t length_of(const Batch& batch) {
    ensure(batch.size > 0 && batch.tokens.size() % static_cast<std::size_t>(batch.size) == 0, "texts of unequal lengths in a batch");
    return static_cast<std::int64_t>(batch.tokens.size()) / batch.size;
  }
  static std::vector<std::int32_t> time_major(std::span<const std::int32_t> all, std::int64_t size, std::int64_t length) {
    std::vector<std::int32_t> turned(all.size());
    for (std::int64_t b = 0; b < size; ++b)
      for (std::int64_t i = 0; i < length; ++i) turned[static_cast<std::size_t>(i * size + b)] = all[static_cast<std::size_t>(b * length + i)];
    return turned;
  }

  std::int64_t embedding_ = 0, width_ = 0;
  std::size_t table_ = 0;
  std::vector<Layer> layers_;
  DenseLayer head_;
};

}  // namespace

std::unique_ptr<TrainableModel> make_char_lstm(const ModelOptions& o) { return std::make_unique<CharLstm>(o); }

}  // namespace starling::core

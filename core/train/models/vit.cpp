// A small vision transformer (Dosovitskiy et al. 2021): square patches, learned positions, blocks with the norm in front,
// the mean over all patches in place of a class token (Beyer et al. 2022). Small as in ViT-Lite (Hassani et al. 2021):
// patches of 4, a feed-forward part of twice the width; by default 4 blocks of width 64 with 4 heads.
#include "core/train/models/layers.h"

namespace starling::core {
namespace {

struct LayerNormLayer {
  std::size_t gain = 0, bias = 0;
  LayerNormLayer() = default;
  LayerNormLayer(ParameterLayout& layout, const std::string& name, std::int64_t width)
      : gain(layout.add(name + ".weight", {width}, {Initial::Kind::constant, 1, 0}, Part::norm)), bias(layout.add(name + ".bias", {width}, {}, Part::norm)) {}
  Var operator()(Tape& t, Var x) const { return layer_norm(t, x, t.parameter(gain), t.parameter(bias)); }
};

/// A dense layer initialised as transformers are: Glorot's weights, biases of zero.
DenseLayer dense_layer(ParameterLayout& layout, const std::string& name, std::int64_t inputs, std::int64_t outputs) {
  DenseLayer layer;
  layer.weight = layout.add(name + ".weight", {outputs, inputs}, {Initial::Kind::xavier, 0, 0});
  layer.bias = layout.add(name + ".bias", {outputs}, {});
  return layer;
}

class Vit final : public TrainableModel {
 public:
  explicit Vit(const ModelOptions& o) : Vit(o, std::make_shared<ParameterLayout>()) {}

  Var logits(Tape& t, const Batch& batch) const override {
    Var x = add_each(t, patch_(t, patches(t, batch)), t.parameter(position_));
    for (const Block& block : blocks_) {
      x = add(t, x, attend(t, block, block.norm1(t, x), batch.size));
      x = add(t, x, block.down(t, activate(t, Activation::gelu, block.up(t, block.norm2(t, x)))));
    }
    return head_(t, mean_over_length(t, reshape(t, norm_(t, x), {batch.size, patches_, width_})));
  }

 private:
  struct Block {
    LayerNormLayer norm1, norm2;
    DenseLayer query, key, value, output, up, down;
  };

  Vit(const ModelOptions& o, const std::shared_ptr<ParameterLayout>& layout) : TrainableModel(layout), image_(image_shape(o, 4)) {
    const auto or_own = [](std::int64_t given, std::int64_t own) { return given > 0 ? given : own; };
    size_ = or_own(o.patch, 4);
    width_ = or_own(o.width, 64);
    heads_ = or_own(o.heads, 4);
    check(image_.height % size_ == 0 && image_.width % size_ == 0, Kind::usage, "model '{}': patch {} does not divide images of {}x{}", o.name, size_, image_.height,
          image_.width);
    check(width_ % heads_ == 0, Kind::usage, "model '{}': {} heads do not divide the width {}", o.name, heads_, width_);
    patches_ = image_.height / size_ * (image_.width / size_);
    patch_ = dense_layer(*layout, "patch", image_.channels * size_ * size_, width_);
    position_ = layout->add("position", {patches_, width_}, {Initial::Kind::normal, 0.02, 0});
    const std::int64_t ffn = or_own(o.ffn, 2 * width_);
    for (std::int64_t i = 0; i < or_own(o.layers, 4); ++i) {
      const std::string at = "blocks." + std::to_string(i);
      Block b;
      b.norm1 = {*layout, at + ".norm1", width_};
      b.query = dense_layer(*layout, at + ".query", width_, width_);
      b.key = dense_layer(*layout, at + ".key", width_, width_);
      b.value = dense_layer(*layout, at + ".value", width_, width_);
      b.output = dense_layer(*layout, at + ".output", width_, width_);
      b.norm2 = {*layout, at + ".norm2", width_};
      b.up = dense_layer(*layout, at + ".up", width_, ffn);
      b.down = dense_layer(*layout, at + ".down", ffn, width_);
      blocks_.push_back(b);
    }
    norm_ = {*layout, "norm", width_};
    head_ = dense_layer(*layout, "head", width_, o.classes);
  }

  /// {batch * patches, channels * size * size}, patches and their pixels row by row.
  Var patches(Tape& t, const Batch& batch) const {
    ensure(static_cast<std::int64_t>(batch.values.size()) == batch.size * image_.channels * image_.height * image_.width, "a batch of another size than its examples");
    std::vector<float> cut;
    cut.reserve(batch.values.size());
    for (std::int64_t b = 0; b < batch.size; ++b)
      for (std::int64_t top = 0; top < image_.height; top += size_)
        for (std::int64_t left = 0; left < image_.width; left += size_)
          for (std::int64_t c = 0; c < image_.channels; ++c)
            for (std::int64_t row = top; row < top + size_; ++row) {
              const auto from = batch.values.begin() + ((b * image_.channels + c) * image_.height + row) * image_.width + left;
              cut.insert(cut.end(), from, from + size_);
            }
    return t.constant({batch.size * patches_, image_.channels * size_ * size_}, cut);
  }

  Var attend(Tape& t, const Block& block, Var x, std::int64_t batch) const {
    const auto images = [&](Var v) { return reshape(t, v, {batch, patches_, width_}); };
    const Var query = images(block.query(t, x)), key = images(block.key(t, x)), value = images(block.value(t, x));
    return block.output(t, reshape(t, attention(t, query, key, value, heads_, heads_, false), {batch * patches_, width_}));
  }

  ImageShape image_;
  std::int64_t size_ = 0, width_ = 0, heads_ = 0, patches_ = 0;
  std::size_t position_ = 0;
  DenseLayer patch_, head_;
  LayerNormLayer norm_;
  std::vector<Block> blocks_;
};

}  // namespace

std::unique_ptr<TrainableModel> make_vit_tiny(const ModelOptions& o) { return std::make_unique<Vit>(o); }

}  // namespace starling::core

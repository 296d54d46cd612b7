// Small classifiers: softmax regression, the perceptron "2NN" and the CNN of McMahan et al. 2017, LeNet-5 (LeCun et al.
// 1998, as NIID-Bench has it: no padding, ReLU, largest-value pooling), VGG-9 as FedMA has it.
#include "core/train/models/layers.h"

namespace starling::core {

Var images(Tape& t, const Batch& batch, const Shape& input) {
  Shape shape{batch.size};
  shape.insert(shape.end(), input.begin(), input.end());
  ensure(element_count(shape) == static_cast<std::int64_t>(batch.values.size()), "a batch of another size than its examples");
  return t.constant(std::move(shape), batch.values);
}

ImageShape image_shape(const ModelOptions& options, std::int64_t least) {
  check(options.input.size() == 3 && options.input[0] > 0 && options.input[1] >= least && options.input[2] >= least, Kind::usage,
        "model '{}': the data has examples of {}, expected images of at least {}x{}", options.name, fmt::join(options.input, "x"), least, least);
  return {options.input[0], options.input[1], options.input[2]};
}

namespace {

using SharedLayout = std::shared_ptr<ParameterLayout>;

Var relu(Tape& t, Var x) { return activate(t, Activation::relu, x); }

class Perceptron final : public TrainableModel {
 public:
  Perceptron(const ModelOptions& o, const std::vector<std::int64_t>& hidden) : Perceptron(o, hidden, std::make_shared<ParameterLayout>()) {}
  Var logits(Tape& t, const Batch& batch) const override {
    Var x = flatten(t, images(t, batch, input_));
    for (std::size_t i = 0; i + 1 < layers_.size(); ++i) x = relu(t, layers_[i](t, x));
    return layers_.back()(t, x);
  }

 private:
  Perceptron(const ModelOptions& o, const std::vector<std::int64_t>& hidden, const SharedLayout& layout) : TrainableModel(layout), input_(o.input) {
    std::int64_t width = element_count(o.input);
    for (const std::int64_t next : hidden) {
      layers_.emplace_back(*layout, "fc" + std::to_string(layers_.size() + 1), width, next);
      width = next;
    }
    layers_.emplace_back(*layout, "fc" + std::to_string(layers_.size() + 1), width, o.classes);
  }
  Shape input_;
  std::vector<DenseLayer> layers_;
};

class LeNet final : public TrainableModel {
 public:
  explicit LeNet(const ModelOptions& o) : LeNet(o, std::make_shared<ParameterLayout>()) {}
  Var logits(Tape& t, const Batch& batch) const override {
    Var x = images(t, batch, input_);
    x = max_pool(t, relu(t, conv1_(t, x)), 2, 2);
    x = flatten(t, max_pool(t, relu(t, conv2_(t, x)), 2, 2));
    return fc3_(t, relu(t, fc2_(t, relu(t, fc1_(t, x)))));
  }

 private:
  LeNet(const ModelOptions& o, const SharedLayout& layout) : TrainableModel(layout), input_(o.input) {
    const ImageShape s = image_shape(o, 16);
    const auto after = [](std::int64_t n) { return ((n - 4) / 2 - 4) / 2; };
    conv1_ = {*layout, "conv1", s.channels, 6, 5, 1, 0};
    conv2_ = {*layout, "conv2", 6, 16, 5, 1, 0};
    fc1_ = {*layout, "fc1", 16 * after(s.height) * after(s.width), 120};
    fc2_ = {*layout, "fc2", 120, 84};
    fc3_ = {*layout, "fc3", 84, o.classes};
  }
  Shape input_;
  ConvLayer conv1_, conv2_;
  DenseLayer fc1_, fc2_, fc3_;
};

class FedAvgCnn final : public TrainableModel {
 public:
  explicit FedAvgCnn(const ModelOptions& o) : FedAvgCnn(o, std::make_shared<ParameterLayout>()) {}
  Var logits(Tape& t, const Batch& batch) const override {
    Var x = images(t, batch, input_);
    x = max_pool(t, relu(t, conv1_(t, x)), 2, 2);
    x = flatten(t, max_pool(t, relu(t, conv2_(t, x)), 2, 2));
    return fc2_(t, relu(t, fc1_(t, x)));
  }

 private:
  FedAvgCnn(const ModelOptions& o, const SharedLayout& layout) : TrainableModel(layout), input_(o.input) {
    const ImageShape s = image_shape(o, 4);
    conv1_ = {*layout, "conv1", s.channels, 32, 5, 1, 2};
    conv2_ = {*layout, "conv2", 32, 64, 5, 1, 2};
    fc1_ = {*layout, "fc1", 64 * (s.height / 2 / 2) * (s.width / 2 / 2), 512};
    fc2_ = {*layout, "fc2", 512, o.classes};
  }
  Shape input_;
  ConvLayer conv1_, conv2_;
  DenseLayer fc1_, fc2_;
};

class Vgg9 final : public TrainableModel {
 public:
  explicit Vgg9(const ModelOptions& o) : Vgg9(o, std::make_shared<ParameterLayout>()) {}
  Var logits(Tape& t, const Batch& batch) const override {
    Var x = images(t, batch, input_);
    for (std::size_t i = 0; i < conv_.size(); ++i) {
      x = relu(t, conv_[i](t, x));
      if (i % 2 == 1) x = max_pool(t, x, 2, 2);
    }
    x = flatten(t, x);
    return fc_[2](t, relu(t, fc_[1](t, relu(t, fc_[0](t, x)))));
  }

 private:
  Vgg9(const ModelOptions& o, const SharedLayout& layout) : TrainableModel(layout), input_(o.input) {
    const ImageShape s = image_shape(o, 8);
    const std::vector<std::int64_t> widths = o.slim ? std::vector<std::int64_t>{8, 16, 32, 32, 64, 64} : std::vector<std::int64_t>{32, 64, 128, 128, 256, 256};
    const std::int64_t hidden = o.slim ? 128 : 512;
    std::int64_t channels = s.channels;
    for (const std::int64_t next : widths) {
      conv_.emplace_back(*layout, "conv" + std::to_string(conv_.size() + 1), channels, next, 3, 1, 1);
      channels = next;
    }
    fc_.emplace_back(*layout, "fc1", channels * (s.height / 8) * (s.width / 8), hidden);
    fc_.emplace_back(*layout, "fc2", hidden, hidden);
    fc_.emplace_back(*layout, "fc3", hidden, o.classes);
  }
  Shape input_;
  std::vector<ConvLayer> conv_;
  std::vector<DenseLayer> fc_;
};

}  // namespace

std::unique_ptr<TrainableModel> make_logistic(const ModelOptions& o) { return std::make_unique<Perceptron>(o, std::vector<std::int64_t>{}); }
std::unique_ptr<TrainableModel> make_mlp(const ModelOptions& o) {
  const std::int64_t width = o.width > 0 ? o.width : 200;
  return std::make_unique<Perceptron>(o, std::vector<std::int64_t>(static_cast<std::size_t>(o.layers > 0 ? o.layers : 2), width));
}
std::unique_ptr<TrainableModel> make_lenet5(const ModelOptions& o) { return std::make_unique<LeNet>(o); }
std::unique_ptr<TrainableModel> make_fedavg_cnn(const ModelOptions& o) { return std::make_unique<FedAvgCnn>(o); }
std::unique_ptr<TrainableModel> make_vgg9(const ModelOptions& o) { return std::make_unique<Vgg9>(o); }

}  // namespace starling::core

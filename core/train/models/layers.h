// Layers as models write them: a name, its parameters' places in the layout, and how they apply.
#pragma once

#include <memory>
#include <string>

#include "core/train/model.h"

namespace starling::core {

struct DenseLayer {
  std::size_t weight = 0, bias = 0;
  DenseLayer() = default;
  DenseLayer(ParameterLayout& layout, const std::string& name, std::int64_t inputs, std::int64_t outputs)
      : weight(layout.add(name + ".weight", {outputs, inputs}, {Initial::Kind::fan_in, 0, inputs})),
        bias(layout.add(name + ".bias", {outputs}, {Initial::Kind::fan_in, 0, inputs})) {}
  Var operator()(Tape& t, Var x) const { return dense(t, x, t.parameter(weight), t.parameter(bias)); }
};

struct ConvLayer {
  std::size_t weight = 0, bias = 0;
  std::int64_t stride = 1, pad = 0;
  bool biased = true;
  ConvLayer() = default;
  ConvLayer(ParameterLayout& layout, const std::string& name, std::int64_t channels, std::int64_t outputs, std::int64_t kernel,
            std::int64_t s, std::int64_t p, bool with_bias = true)
      : weight(layout.add(name + ".weight", {outputs, channels, kernel, kernel}, {Initial::Kind::fan_in, 0, channels * kernel * kernel})),
        stride(s),
        pad(p),
        biased(with_bias) {
    if (biased) bias = layout.add(name + ".bias", {outputs}, {Initial::Kind::fan_in, 0, channels * kernel * kernel});
  }
  Var operator()(Tape& t, Var x) const {
    return biased ? conv2d(t, x, t.parameter(weight), t.parameter(bias), stride, pad) : conv2d(t, x, t.parameter(weight), stride, pad);
  }
};

struct BatchNormLayer {
  BatchNorm norm{};
  BatchNormLayer() = default;
  BatchNormLayer(ParameterLayout& layout, const std::string& name, std::int64_t channels) {
    norm.gain = layout.add(name + ".weight", {channels}, {Initial::Kind::constant, 1, 0}, Part::norm);
    norm.bias = layout.add(name + ".bias", {channels}, {}, Part::norm);
    norm.running_mean = layout.add(name + ".running_mean", {channels}, {}, Part::statistic);
    norm.running_variance = layout.add(name + ".running_var", {channels}, {Initial::Kind::constant, 1, 0}, Part::statistic);
  }
  Var operator()(Tape& t, Var x) const { return batch_norm(t, x, norm); }
};

/// The images of a batch as a value. Kind::usage when `model` is given something else.
Var images(Tape& t, const Batch& batch, const Shape& input);
/// {channels, height, width} of `options`. Kind::usage unless it is an image at least `least` high and wide.
struct ImageShape {
  std::int64_t channels, height, width;
};
ImageShape image_shape(const ModelOptions& options, std::int64_t least);

}  // namespace starling::core

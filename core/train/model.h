// Models that can be trained: a layout of parameters and an equation over a tape, each defined once, found by name.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/train/ops.h"

namespace starling::core {

/// Examples as a model takes them.
struct Batch {
  std::int64_t size = 0;
  std::span<const float> values;         // {size, features...}
  std::span<const std::int32_t> tokens;  // {size, length} of text
  std::span<const std::int32_t> labels;  // {size}; of text {size, length}, or {size} for what follows the last token
};

/// What of the data and of the user's wishes a model's shape depends on.
struct ModelOptions {
  std::string name;
  Shape input;                   // of one example: {channels, height, width}, {features} or {length}
  std::int64_t classes = 10;     // of text: the vocabulary
  std::int64_t width = 0;        // 0: the model's own; of recurrent layers and transformers
  std::int64_t layers = 0;       // 0: the model's own
  std::int64_t embedding = 0;    // 0: the model's own
  std::int64_t heads = 0;        // 0: the model's own; of transformers, as the next three
  std::int64_t kv_heads = 0;     // 0: the model's own; of llama
  std::int64_t ffn = 0;          // 0: the model's own; inner width of the feed-forward part
  std::int64_t patch = 0;        // 0: the model's own; of vit-tiny, height and width
  bool slim = false;             // the smaller variant, where there is one
  std::string initial = "fan-in";  // of dense layers and convolutions: PyTorch's default, or he, see initialise_for_relu()
};

class TrainableModel {
 public:
  virtual ~TrainableModel() = default;
  const std::shared_ptr<const ParameterLayout>& layout() const { return layout_; }
  /// Where weights and biases begin as PyTorch has it, He et al. 2015 instead: normal weights that keep the scale of what
  /// passes through rectifiers, biases of 0.
  void initialise_for_relu();
  /// {rows, classes}, a row for every entry of row_labels().
  virtual Var logits(Tape& t, const Batch& batch) const = 0;
  /// The labels in the order of the rows of logits(), where that is not the batch's own; -1: the row does not count.
  virtual std::vector<std::int32_t> row_labels(const Batch& batch) const { return {batch.labels.begin(), batch.labels.end()}; }

 protected:
  explicit TrainableModel(std::shared_ptr<const ParameterLayout> layout) : layout_(std::move(layout)) {}

 private:
  std::shared_ptr<const ParameterLayout> layout_;
};

/// Kind::usage for an unknown name (with the known ones) or an input that the model cannot take.
std::unique_ptr<TrainableModel> make_model(const ModelOptions& options);
std::vector<std::string_view> model_names();

}  // namespace starling::core

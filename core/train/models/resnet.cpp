// ResNets for small images (He et al. 2016, section 4.2): 6 n + 2 layers in three stages of 16, 32 and 64 channels,
// shortcuts without parameters (option A). Names are those of the public PyTorch checkpoints of this architecture.
#include "core/train/models/layers.h"

namespace starling::core {
namespace {

class ResNet final : public TrainableModel {
 public:
  ResNet(const ModelOptions& o, std::int64_t n) : ResNet(o, n, std::make_shared<ParameterLayout>()) {}

  Var logits(Tape& t, const Batch& batch) const override {
    Var x = batch_norm_relu(t, conv_(t, images(t, batch, input_)), bn_.norm);
    for (const Block& block : blocks_) {
      const Var inner = block.conv2(t, batch_norm_relu(t, block.conv1(t, x), block.bn1.norm));
      const Var shortcut = block.extra > 0 ? subsample(t, x, 2, block.extra) : x;
      x = batch_norm_add_relu(t, inner, block.bn2.norm, shortcut);
    }
    return linear_(t, global_average_pool(t, x));
  }

 private:
  struct Block {
    ConvLayer conv1, conv2;
    BatchNormLayer bn1, bn2;
    std::int64_t extra;  // channels of zeros on either side of the shortcut; 0: the identity
  };

  ResNet(const ModelOptions& o, std::int64_t n, const std::shared_ptr<ParameterLayout>& layout) : TrainableModel(layout), input_(o.input) {
    const ImageShape s = image_shape(o, 4);
    std::int64_t channels = 16;
    conv_ = {*layout, "conv1", s.channels, channels, 3, 1, 1, false};
    bn_ = {*layout, "bn1", channels};
    for (std::int64_t stage = 1; stage <= 3; ++stage)
      for (std::int64_t i = 0; i < n; ++i) {
        const std::int64_t next = 8 << stage;
        const std::string name = fmt::format("layer{}.{}", stage, i);
        Block b;
        b.conv1 = {*layout, name + ".conv1", channels, next, 3, next == channels ? 1 : 2, 1, false};
        b.bn1 = {*layout, name + ".bn1", next};
        b.conv2 = {*layout, name + ".conv2", next, next, 3, 1, 1, false};
        b.bn2 = {*layout, name + ".bn2", next};
        b.extra = (next - channels) / 2;
        blocks_.push_back(b);
        channels = next;
      }
    linear_ = {*layout, "linear", channels, o.classes};
  }

  Shape input_;
  ConvLayer conv_;
  BatchNormLayer bn_;
  std::vector<Block> blocks_;
  DenseLayer linear_;
};

}  // namespace

std::unique_ptr<TrainableModel> make_resnet8(const ModelOptions& o) { return std::make_unique<ResNet>(o, 1); }
std::unique_ptr<TrainableModel> make_resnet20(const ModelOptions& o) { return std::make_unique<ResNet>(o, 3); }
std::unique_ptr<TrainableModel> make_resnet32(const ModelOptions& o) { return std::make_unique<ResNet>(o, 5); }

}  // namespace starling::core

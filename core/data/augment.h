// Images changed a little every time they are trained on, so that a model learns what does not matter: moved by a few
// pixels and turned left to right, as for CIFAR-10 (He et al. 2016; edges as NIID-Bench has them).
#pragma once

#include <span>
#include <vector>

#include "core/random_stream.h"
#include "core/tensor.h"

namespace starling::core {

class Augmenter {
 public:
  static constexpr std::int64_t kMargin = 4;  // pixels by which an image moves at most

  /// Of images {channels, height, width}. Kind::usage for anything else, or images that are no larger than the margin.
  Augmenter(const Shape& image, RandomStream random);

  /// Of one image after the other a window of its own size, cut at random from the image and a margin that mirrors it
  /// without its edge; every second image turned, at random.
  void apply(std::span<float> images);

 private:
  Shape image_;
  RandomStream random_;
  std::vector<float> from_;
};

}  // namespace starling::core

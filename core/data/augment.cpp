#include "core/data/augment.h"

#include <algorithm>

#include "core/error.h"

namespace starling::core {

Augmenter::Augmenter(const Shape& image, RandomStream random) : image_(image), random_(random) {
  const bool possible = image.size() == 3 && image[0] > 0 && image[1] > kMargin && image[2] > kMargin;
  check(possible, Kind::usage, "[client] augment: the data has examples of {}, expected images larger than {}x{}", fmt::join(image, "x"), kMargin, kMargin);
  from_.resize(static_cast<std::size_t>(element_count(image)));
}

void Augmenter::apply(std::span<float> images) {
  const std::int64_t channels = image_[0], height = image_[1], width = image_[2];
  const auto mirrored = [](std::int64_t i, std::int64_t n) { return i < 0 ? -i : i < n ? i : 2 * n - 2 - i; };
  ensure(images.size() % from_.size() == 0, "images of another size");
  for (std::size_t at = 0; at < images.size(); at += from_.size()) {
    const auto draw = [&] { return static_cast<std::int64_t>(random_.below(2 * kMargin + 1)) - kMargin; };
    const std::int64_t down = draw(), right = draw();
    const bool turned = random_.below(2) == 1;
    float* to = images.data() + at;
    std::copy_n(to, from_.size(), from_.begin());
    for (std::int64_t row = 0; row < channels * height; ++row) {
      const std::int64_t source = row / height * height + mirrored(row % height + down, height);
      for (std::int64_t x = 0; x < width; ++x) *to++ = from_[static_cast<std::size_t>(source * width + mirrored((turned ? width - 1 - x : x) + right, width))];
    }
  }
}

}  // namespace starling::core

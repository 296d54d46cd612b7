// Augmented images are windows of the image and its mirrored margin, every move about as often as any other.
#include "core/data/augment.h"

#include <map>
#include <numeric>

#include <doctest/doctest.h>

#include "core/error.h"

using namespace starling;
using core::Augmenter;

namespace {

constexpr std::int64_t kHeight = 7, kWidth = 11;  // wide enough that no turned window is another that is not

core::RandomStream numbers(std::uint64_t client = 0) { return {1, core::Purpose::augmentation, {0, client, 0}}; }

/// Two channels, every pixel another number.
std::vector<float> image() {
  std::vector<float> pixels(2 * kHeight * kWidth);
  std::iota(pixels.begin(), pixels.end(), 0.0f);
  return pixels;
}

/// 3 2 1 | 0 1 2 3 4 | 3 2 1
std::int64_t mirrored(std::int64_t i, std::int64_t n) {
  const std::int64_t period = 2 * (n - 1), inside = (i % period + period) % period;
  return std::min(inside, period - inside);
}

std::vector<float> moved(std::int64_t down, std::int64_t right, bool turned) {
  std::vector<float> result;
  for (std::int64_t c = 0; c < 2; ++c)
    for (std::int64_t y = 0; y < kHeight; ++y)
      for (std::int64_t x = 0; x < kWidth; ++x)
        result.push_back(static_cast<float>((c * kHeight + mirrored(y + down, kHeight)) * kWidth + mirrored((turned ? kWidth - 1 - x : x) + right, kWidth)));
  return result;
}

}  // namespace

TEST_CASE("every window of the mirrored image comes, turned or not, and nothing else") {
  std::map<std::vector<float>, int> seen;
  for (std::int64_t down = -4; down <= 4; ++down)
    for (std::int64_t right = -4; right <= 4; ++right)
      for (const bool turned : {false, true}) seen[moved(down, right, turned)] = 0;
  REQUIRE(seen.size() == 2 * 81);
  Augmenter augmenter({2, kHeight, kWidth}, numbers());
  constexpr int kDraws = 16200;
  for (int i = 0; i < kDraws / 2; ++i) {
    std::vector<float> two = image();
    const std::vector<float> second = image();
    two.insert(two.end(), second.begin(), second.end());
    augmenter.apply(two);
    const auto half = two.begin() + static_cast<std::ptrdiff_t>(second.size());
    for (const auto& one : {std::vector<float>(two.begin(), half), std::vector<float>(half, two.end())}) {
      REQUIRE(seen.count(one) == 1);
      ++seen[one];
    }
  }
  // 100 of each are expected, with a standard deviation of 10.
  for (const auto& [pixels, count] : seen) CHECK(std::abs(count - kDraws / 162) < 50);
}

TEST_CASE("the same numbers make the same images, and only images are taken") {
  std::vector<float> one = image(), same = image(), other = image();
  Augmenter({2, kHeight, kWidth}, numbers()).apply(one);
  Augmenter({2, kHeight, kWidth}, numbers()).apply(same);
  Augmenter({2, kHeight, kWidth}, numbers(1)).apply(other);
  CHECK(one == same);
  CHECK(one != other);
  CHECK_THROWS_AS(Augmenter({64}, numbers()), core::Error);
  CHECK_THROWS_AS(Augmenter({1, 4, 28}, numbers()), core::Error);
}

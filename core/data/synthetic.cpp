#include "core/data/synthetic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/data/dataset.h"
#include "core/error.h"
#include "core/random.h"

namespace starling::core {
namespace {

/// Registers, which sums in an array would not stay in: four of four floats hold the scores of a group of classes.
using Four = float __attribute__((vector_size(16)));
constexpr std::size_t kFours = 4, kLanes = 4 * kFours;
constexpr std::uint64_t kTestClients = std::uint64_t{1} << 63;

enum class Step : std::uint64_t { teacher, client, examples };

/// Sums of four bytes, mean 0 and deviation 1: two of every word.
void normals(std::uint64_t seed, std::uint64_t client, Step step, std::span<float> to) {
  constexpr std::size_t kWords = 256;
  constexpr std::uint64_t kBytes = 0x00ff00ff00ff00ff, kPairs = 0x0000ffff0000ffff;
  constexpr std::int32_t kMean = 510;
  constexpr float kDeviation = 147.801f;  // sqrt(4 (256^2 - 1) / 12)
  std::array<std::uint64_t, kWords> words;
  std::array<std::int32_t, 2 * kWords> sums;
  for (std::size_t at = 0, round = 0; at < to.size(); at += sums.size(), ++round) {
    const std::size_t count = std::min(sums.size(), to.size() - at), used = (count + 1) / 2;
    random_fill(seed, Purpose::data, {round, client, static_cast<std::uint64_t>(step)}, std::span(words).first(used));
    for (std::size_t i = 0; i < used; ++i) {
      const std::uint64_t pairs = (words[i] & kBytes) + (words[i] >> 8 & kBytes);
      words[i] = (pairs & kPairs) + (pairs >> 16 & kPairs);
    }
    std::memcpy(sums.data(), words.data(), used * sizeof(words[0]));
    for (std::size_t i = 0; i < count; ++i) to[at + i] = static_cast<float>(sums[i] - kMean) * (1 / kDeviation);
  }
}

std::vector<float> normals(std::uint64_t seed, std::uint64_t client, Step step, std::size_t count) {
  std::vector<float> values(count);
  normals(seed, client, step, values);
  return values;
}

/// bias + x W of one group of classes.
void scores(const float* x, std::size_t features, const float* teacher, const float* bias, float* to) {
  const auto load = [](const float* from) {
    Four value;
    std::memcpy(&value, from, sizeof(value));
    return value;
  };
  Four a = load(bias), b = load(bias + 4), c = load(bias + 8), d = load(bias + 12);
  for (std::size_t j = 0; j < features; ++j, teacher += kLanes) {
    a += x[j] * load(teacher);
    b += x[j] * load(teacher + 4);
    c += x[j] * load(teacher + 8);
    d += x[j] * load(teacher + 12);
  }
  const std::array<Four, kFours> sums{a, b, c, d};
  std::memcpy(to, sums.data(), sizeof(sums));
}

}  // namespace

Synthetic::Synthetic(const SyntheticOptions& options) : options_(options) {
  constexpr std::int64_t kFeaturesMax = 1 << 20, kMany = 1 << 24;
  std::int64_t features = options.input.empty() ? 0 : 1;
  for (const std::int64_t size : options.input) features = size > 0 && size <= kFeaturesMax ? std::min(features * size, kFeaturesMax + 1) : 0;
  check(features > 0 && features <= kFeaturesMax, Kind::usage, "data set 'synthetic': examples of {} values, expected 1 to {}", fmt::join(options.input, "x"),
        kFeaturesMax);
  const std::int64_t classes_max = std::min<std::int64_t>(65536, (std::int64_t{1} << 26) / features);
  check(options.classes > 0 && options.classes <= classes_max, Kind::usage, "data set 'synthetic': {} classes, expected 1 to {}", options.classes, classes_max);
  check(options.examples > 0 && options.test_examples > 0 && options.examples <= kMany && options.test_examples <= kMany, Kind::usage,
        "data set 'synthetic': {} examples of a client and {} for testing, expected 1 to {}", options.examples, options.test_examples, kMany);
  check(options.alpha >= 0 && options.beta >= 0 && std::isfinite(options.alpha + options.beta), Kind::usage,
        "data set 'synthetic': alpha = {}, beta = {}, expected 0 or more", options.alpha, options.beta);
  features_ = static_cast<std::size_t>(features);
  const auto classes = static_cast<std::size_t>(options.classes);
  groups_ = (classes + kLanes - 1) / kLanes;
  teacher_.resize(groups_ * features_ * kLanes);
  bias_.resize(groups_ * kLanes);
  const std::vector<float> drawn = normals(options.seed, 0, Step::teacher, classes * (features_ + 1));
  for (std::size_t c = 0; c < classes; ++c) {
    for (std::size_t j = 0; j < features_; ++j) teacher_[(c / kLanes * features_ + j) * kLanes + c % kLanes] = drawn[c * features_ + j];
    bias_[c] = drawn[classes * features_ + c];
  }
  for (std::size_t j = 0; j < features_; ++j) scale_.push_back(static_cast<float>(std::pow(static_cast<double>(j + 1), -0.6)));
}

void Synthetic::add(std::uint64_t client, std::int64_t count, Examples& to) const {
  const auto classes = static_cast<std::size_t>(options_.classes);
  const std::vector<float> own = normals(options_.seed, client, Step::client, 2 * classes + 2 * features_);
  const float *a = own.data(), *e = a + classes, *d = e + classes, *v = d + features_;
  const auto far = static_cast<float>(std::sqrt(options_.alpha)), aside = static_cast<float>(std::sqrt(options_.beta));
  std::vector<float> teacher = teacher_, bias = bias_;
  for (std::size_t g = 0; g < groups_; ++g) {
    const std::size_t lanes = std::min(kLanes, classes - g * kLanes);
    std::array<float, kLanes> direction{};
    for (std::size_t c = 0; c < lanes; ++c) direction[c] = far * a[g * kLanes + c];
    for (std::size_t c = 0; c < lanes; ++c) bias[g * kLanes + c] += far * e[g * kLanes + c];
    float* row = teacher.data() + g * features_ * kLanes;
    for (std::size_t j = 0; j < features_; ++j)
      for (std::size_t c = 0; c < kLanes; ++c) row[j * kLanes + c] += direction[c] * d[j];
  }
  const std::size_t begin = to.values.size();
  to.values.resize(begin + static_cast<std::size_t>(count) * features_);
  normals(options_.seed, client, Step::examples, std::span(to.values).subspan(begin));
  for (std::int64_t i = 0; i < count; ++i) {
    float* x = to.values.data() + begin + static_cast<std::size_t>(i) * features_;
    for (std::size_t j = 0; j < features_; ++j) x[j] = (x[j] + aside * v[j]) * scale_[j];
    std::size_t best = 0;
    float highest = 0;
    std::array<float, kLanes> found;
    for (std::size_t g = 0; g < groups_; ++g) {
      scores(x, features_, teacher.data() + g * features_ * kLanes, bias.data() + g * kLanes, found.data());
      for (std::size_t c = 0; c < kLanes && g * kLanes + c < classes; ++c) {
        if ((g > 0 || c > 0) && found[c] <= highest) continue;
        best = g * kLanes + c;
        highest = found[c];
      }
    }
    to.labels.push_back(static_cast<std::int32_t>(best));
  }
  to.count += count;
}

void Synthetic::fill(std::uint64_t client, Examples& to) const {
  to.count = to.tokens_each = 0;
  to.values_each = static_cast<std::int64_t>(features_);
  to.labels_each = 1;
  to.values.clear();
  to.tokens.clear();
  to.labels.clear();
  add(client, options_.examples, to);
}

Examples Synthetic::test() const {
  Examples to;
  to.values_each = static_cast<std::int64_t>(features_);
  for (std::uint64_t client = kTestClients; to.count < options_.test_examples; ++client)
    add(client, std::min(options_.examples, options_.test_examples - to.count), to);
  return to;
}

/// The test examples, shape and classes alone; the training examples stay empty, as each client's are made when needed.
Dataset load_synthetic(const DatasetOptions& o) {
  const Synthetic made(o.synthetic);
  Dataset d;
  d.input = o.synthetic.input;
  d.classes = o.synthetic.classes;
  d.test = made.test();
  d.train.values_each = d.test.values_each;
  d.made_per_client = true;
  return d;
}

}  // namespace starling::core

// MNIST (LeCun, Cortes, Burges), Fashion-MNIST (Xiao et al. 2017) as IDX files, CIFAR-10 (Krizhevsky 2009) in its binary
// form; packed or not. Values are standardised by the mean and deviation of the training set.
#include <algorithm>
#include <array>

#include "core/data/archive.h"
#include "core/data/dataset.h"
#include "core/data/files.h"
#include "core/data/idx.h"
#include "core/error.h"

namespace starling::core {
namespace {

struct Scale {
  float mean, deviation;
};

void add_pixels(Bytes pixels, const Scale& scale, std::vector<float>& to) {
  std::array<float, 256> table;
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = (static_cast<float>(i) / 255 - scale.mean) / scale.deviation;
  for (const std::byte p : pixels) to.push_back(table[std::to_integer<std::size_t>(p)]);
}

Examples load_idx(const DatasetOptions& options, const std::string& prefix, const char* origin, const Scale& scale, std::int64_t max) {
  constexpr std::int64_t kClasses = 10;
  const auto images_file = find_data_file(options, options.name, prefix + "-images-idx3-ubyte", origin);
  const auto labels_file = find_data_file(options, options.name, prefix + "-labels-idx1-ubyte", origin);
  const std::vector<std::byte> image_bytes = read_packed(images_file, kDataFileBytesMax), label_bytes = read_packed(labels_file, kDataFileBytesMax);
  const Idx images = parse_idx(image_bytes, images_file.string()), labels = parse_idx(label_bytes, labels_file.string());
  check(images.shape.size() == 3 && images.shape[1] == 28 && images.shape[2] == 28, Kind::malformed, "{}: sizes {}, expected N x 28 x 28", images_file.string(),
        fmt::join(images.shape, " x "));
  check(labels.shape == Shape{images.shape[0]}, Kind::malformed, "{}: {} labels for {} images", labels_file.string(), labels.shape[0], images.shape[0]);
  Examples e;
  e.count = max > 0 ? std::min(max, images.shape[0]) : images.shape[0];
  e.values_each = 28 * 28;
  add_pixels(images.values.first(static_cast<std::size_t>(e.count * e.values_each)), scale, e.values);
  for (const std::byte label : labels.values.first(static_cast<std::size_t>(e.count))) {
    e.labels.push_back(std::to_integer<std::int32_t>(label));
    check(e.labels.back() < kClasses, Kind::malformed, "{}: label {} of example {}, expected 0 to 9", labels_file.string(), e.labels.back(), e.labels.size() - 1);
  }
  return e;
}

Dataset load_grey(const DatasetOptions& options, const char* origin, const Scale& scale) {
  Dataset d;
  d.input = {1, 28, 28};
  d.classes = 10;
  d.train = load_idx(options, "train", origin, scale, options.train_max);
  d.test = load_idx(options, "t10k", origin, scale, 0);
  return d;
}

constexpr std::int64_t kPlane = 32 * 32, kRecord = 1 + 3 * kPlane;

void add_cifar(const DatasetOptions& options, const std::string& name, std::int64_t max, Examples& e) {
  constexpr std::array<Scale, 3> kScales{Scale{0.4914f, 0.2470f}, Scale{0.4822f, 0.2435f}, Scale{0.4465f, 0.2616f}};
  const auto file = find_data_file(options, options.name, name, "cs.toronto.edu/~kriz (\"binary version\")");
  const std::vector<std::byte> bytes = read_packed(file, kDataFileBytesMax);
  check(!bytes.empty() && bytes.size() % kRecord == 0, Kind::malformed, "{}: {} bytes, expected records of {}", file.string(), bytes.size(), kRecord);
  for (std::size_t at = 0; at < bytes.size() && (max == 0 || e.count < max); at += kRecord, ++e.count) {
    const auto label = std::to_integer<std::int32_t>(bytes[at]);
    check(label < 10, Kind::malformed, "{}: label {} of record {}, expected 0 to 9", file.string(), label, at / kRecord);
    e.labels.push_back(label);
    for (std::size_t c = 0; c < kScales.size(); ++c) add_pixels(Bytes(bytes).subspan(at + 1 + c * kPlane, kPlane), kScales[c], e.values);
  }
}

}  // namespace

Dataset load_mnist(const DatasetOptions& o) { return load_grey(o, "yann.lecun.com/exdb/mnist", {0.1307f, 0.3081f}); }
Dataset load_fashion_mnist(const DatasetOptions& o) { return load_grey(o, "github.com/zalandoresearch/fashion-mnist", {0.2860f, 0.3530f}); }

Dataset load_cifar10(const DatasetOptions& o) {
  Dataset d;
  d.input = {3, 32, 32};
  d.classes = 10;
  d.train.values_each = d.test.values_each = 3 * kPlane;
  for (int i = 1; i <= 5 && (o.train_max == 0 || d.train.count < o.train_max); ++i) add_cifar(o, fmt::format("data_batch_{}.bin", i), o.train_max, d.train);
  add_cifar(o, "test_batch.bin", 0, d.test);
  return d;
}

}  // namespace starling::core

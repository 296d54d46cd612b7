// Other people's weights in our models: every name and shape must fit, and the published accuracy comes out.
#include "core/train/load_checkpoint.h"

#include <array>

#include "core/data/dataset.h"
#include "core/file.h"
#include "core/formats/safetensors.h"
#include "core/train/model.h"
#include "tests/data.h"
#include "tests/said.h"

using namespace starling;
using namespace starling::core;
using tests::contains;
using tests::said;
using tests::TestFolder;

namespace {

std::filesystem::path kept(const std::string& name) { return std::filesystem::path(STARLING_SOURCE_DIR) / "tests/fuzz/corpus/torch_pickle" / name; }

/// A model of one dense layer, as those of the kept files are.
std::shared_ptr<ParameterLayout> layer(const std::string& prefix, std::int64_t outputs = 3) {
  auto layout = std::make_shared<ParameterLayout>();
  layout->add(prefix + "weight", {outputs, 2}, {});
  layout->add(prefix + "bias", {outputs}, {});
  return layout;
}

const std::vector<float> kRamp{-1, -0.75f, -0.5f, -0.25f, 0, 0.25f, -1, -0.75f, -0.5f};

}  // namespace

TEST_CASE("a state dict comes in by name, nested, with module. in front or bare, and from safetensors") {
  Parameters nested(layer("fc."));
  load_checkpoint(nested, kept("nested.th"));
  CHECK(nested.values == kRamp);
  Parameters bare(layer(""));
  load_checkpoint(bare, kept("module_state.th"));
  CHECK(bare.values == kRamp);
  const TestFolder folder("load_checkpoint");
  const auto file = folder.path / "m.safetensors";
  const std::span<const float> values(kRamp);
  const auto tensor = [&](const std::string& name, Shape shape, std::size_t begin, std::size_t count) {
    return Outgoing{name, Type::f32, std::move(shape), [=](const Sink& sink) { sink(std::as_bytes(values.subspan(begin, count))); }};
  };
  write_safetensors(file, {}, std::vector<Outgoing>{tensor("bias", {3}, 6, 3), tensor("weight", {3, 2}, 0, 6)});
  Parameters safe(layer(""));
  load_checkpoint(safe, file);
  CHECK(safe.values == kRamp);
}

TEST_CASE("a tensor that is missing, too many or of another shape is named, and nothing is changed") {
  Parameters p(layer("", 4));
  p.values.assign(p.values.size(), 7);
  const auto message = [&](const std::filesystem::path& file, Kind kind = Kind::malformed) { return said([&] { load_checkpoint(p, file); }, kind); };
  CHECK(contains(message(kept("module_state.th")), "module_state.th: tensor weight has shape (3, 2), the model's has (4, 2)"));
  CHECK(contains(message(kept("nested.th")), "tensor fc.bias is none of the model's"));
  CHECK(contains(message(kept("global.th"), Kind::unsupported), "os system"));
  CHECK(p.values == std::vector<float>(12, 7));
  auto more = layer("");
  more->add("scale", {1}, {});
  Parameters wide(more);
  CHECK(contains(said([&] { load_checkpoint(wide, kept("module_state.th")); }, Kind::malformed), "tensor scale of the model is missing"));
  const TestFolder folder("load_checkpoint_bad");
  folder.write("new.pt", "PK\3\4 and more");
  CHECK(contains(message(folder.path / "new.pt", Kind::unsupported), "_use_new_zipfile_serialization=False"));
  folder.write("empty.safetensors", std::string("\2\0\0\0\0\0\0\0{}", 10));
  CHECK(contains(message(folder.path / "empty.safetensors"), "holds no tensors of a model"));
  folder.write("text", "no checkpoint at all");
  CHECK(contains(message(folder.path / "text"), "header length"));
  message(folder.path / "nothing", Kind::missing);
}

TEST_CASE("the public ResNets classify CIFAR-10 as published") {
  const auto weights = tests::data_file("resnet-cifar10/resnet20-12fca82f.th");
  if (!weights || !tests::data_file("cifar10/test_batch.bin.xz")) return;
  Dataset data = load_dataset({"cifar10", weights->parent_path().parent_path(), 1});
  constexpr std::size_t kEach = 3072, kStride = 20, kBatch = 100;
  // Their scale instead of ours.
  constexpr std::array<float, 3> kMean{0.4914f, 0.4822f, 0.4465f}, kDeviation{0.2470f, 0.2435f, 0.2616f};
  constexpr std::array<float, 3> kTheirMean{0.485f, 0.456f, 0.406f}, kTheirDeviation{0.229f, 0.224f, 0.225f};
  std::vector<float> values;
  std::vector<std::int32_t> labels;
  for (std::size_t i = 3; i < static_cast<std::size_t>(data.test.count); i += kStride + 1) {  // of all classes, which take turns
    for (std::size_t k = 0; k < kEach; ++k) {
      const std::size_t c = k / 1024;
      values.push_back((data.test.values[i * kEach + k] * kDeviation[c] + kMean[c] - kTheirMean[c]) / kTheirDeviation[c]);
    }
    labels.push_back(data.test.labels[i]);
  }
  Pool pool(2);
  const auto accuracy = [&](const std::string& name, const std::filesystem::path& file) {
    ModelOptions options;
    options.name = name;
    options.input = data.input;
    const auto model = make_model(options);
    Parameters p(model->layout());
    load_checkpoint(p, file);
    Tape tape(pool, false, false);
    int right = 0;
    for (std::size_t at = 0; at < labels.size(); at += kBatch) {
      const std::size_t size = std::min(kBatch, labels.size() - at);
      tape.begin(p);
      const Batch batch{static_cast<std::int64_t>(size), std::span(values).subspan(at * kEach, size * kEach), {}, std::span(labels).subspan(at, size)};
      const auto scores = tape.value(model->logits(tape, batch));
      for (std::size_t i = 0; i < size; ++i) {
        const auto row = scores.subspan(i * 10, 10);
        right += std::max_element(row.begin(), row.end()) - row.begin() == labels[at + i] ? 1 : 0;
      }
    }
    MESSAGE(name, ": ", right, " of ", labels.size());
    return right / static_cast<double>(labels.size());
  };
  CHECK(accuracy("resnet20", *weights) >= 0.88);  // published 91.7 % of all 10,000
  CHECK(accuracy("resnet32", weights->parent_path() / "resnet32-d509ac18.th") >= 0.88);  // 92.6 %
}

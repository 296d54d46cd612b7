// `starling bench train`: milliseconds of one step of SGD (forward, backward, update) for the models of federated
// papers, on examples made by a formula. `tools/peers torch` runs it beside PyTorch.
#include <algorithm>
#include <chrono>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/train/load_checkpoint.h"
#include "core/train/model.h"
#include "core/train/optimizer.h"
#include "tools/command.h"
#include "tools/measure.h"

namespace starling::tools::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kSets = 8;      // batches of examples, used in turn
constexpr std::int64_t kWarm = 3;
constexpr double kRate = 0.01;

struct TrainOptions {
  std::vector<std::string> models{"mlp", "lenet5", "fedavg-cnn", "vgg9", "resnet20", "char-lstm"};
  std::int64_t batch = 32, steps = 20, blocks = 9;
  int threads = 0;
  std::string weights;
  bool json = false;
};

struct StepShape {
  core::ModelOptions model;
  std::int64_t each = 0;  // values or tokens of an example
  bool text = false;
};

StepShape shape_of(const std::string& name) {
  StepShape s;
  s.model.name = name;
  if (name == "char-lstm") {
    s.model.input = {80};
    s.model.classes = 90;
    s.text = true;
  } else {
    const bool colour = name == "vgg9" || name == "resnet8" || name == "resnet20";
    s.model.input = colour ? core::Shape{3, 32, 32} : core::Shape{1, 28, 28};
  }
  s.each = 1;
  for (const std::int64_t d : s.model.input) s.each *= d;
  return s;
}

/// Value i is a hash of i from -1 to 1, token i (7 i^2 + 3 i) mod 90, the label of example i (3 i + i / 10) mod 10.
class Data {
 public:
  Data(const StepShape& shape, std::int64_t batch) : batch_(batch), each_(shape.each), text_(shape.text) {
    const std::int64_t count = kSets * batch * each_;
    for (std::int64_t i = 0; i < count; ++i) {
      if (text_) {
        tokens_.push_back(static_cast<std::int32_t>((7 * i * i + 3 * i) % 90));
        labels_.push_back(static_cast<std::int32_t>((7 * (i + 1) * (i + 1) + 3 * (i + 1)) % 90));
      } else {
        values_.push_back(value(static_cast<std::uint32_t>(i)));
      }
    }
    for (std::int64_t i = 0; !text_ && i < kSets * batch; ++i) labels_.push_back(static_cast<std::int32_t>((3 * i + i / 10) % 10));
  }
  core::Batch of(std::int64_t step) const {
    const auto n = static_cast<std::size_t>(batch_ * each_), at = static_cast<std::size_t>(step % kSets) * n;
    const std::size_t labels = text_ ? n : static_cast<std::size_t>(batch_);
    core::Batch b;
    b.size = batch_;
    if (text_)
      b.tokens = std::span(tokens_).subspan(at, n);
    else
      b.values = std::span(values_).subspan(at, n);
    b.labels = std::span(labels_).subspan(static_cast<std::size_t>(step % kSets) * labels, labels);
    return b;
  }

 private:
  static float value(std::uint32_t i) {
    std::uint32_t h = i * 2654435761u;
    h = (h ^ (h >> 15)) * 2246822519u;
    return static_cast<float>((h ^ (h >> 13)) >> 8) / static_cast<float>(1 << 23) - 1;
  }

  std::int64_t batch_, each_;
  bool text_;
  std::vector<float> values_;
  std::vector<std::int32_t> tokens_, labels_;
};

nlohmann::json measure(const TrainOptions& options, const std::string& name, int threads) {
  const StepShape shape = shape_of(name);
  const auto model = core::make_model(shape.model);
  core::Parameters parameters(model->layout());
  core::initialise(parameters, 1);
  if (!options.weights.empty()) core::save_checkpoint(options.weights, *parameters.layout, parameters.values, {});
  const Data data(shape, options.batch);
  core::Pool pool(threads);
  core::Tape tape(pool, true, true);
  const auto sgd = core::make_optimizer({});
  std::int64_t steps = 0;
  const auto step = [&] {
    const core::Batch batch = data.of(steps++);
    tape.begin(parameters);
    parameters.clear_gradients();
    const core::Var loss = cross_entropy(tape, model->logits(tape, batch), model->row_labels(batch));
    tape.backward(loss);
    sgd->step(parameters, kRate);
    return static_cast<double>(tape.value(loss)[0]);
  };
  std::vector<double> losses, blocks;
  for (std::int64_t i = 0; i < std::max<std::int64_t>(kWarm, 20); ++i) losses.push_back(step());
  for (std::int64_t b = 0; b < options.blocks; ++b) {
    const auto start = Clock::now();
    for (std::int64_t i = 0; i < options.steps; ++i) step();
    blocks.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count() / static_cast<double>(options.steps));
  }
  std::sort(blocks.begin(), blocks.end());
  return {{"model", name},           {"batch", options.batch}, {"threads", threads},    {"ms_per_step", blocks[blocks.size() / 2]},
          {"fastest", blocks.front()}, {"slowest", blocks.back()}, {"losses", losses}, {"parameters", model->layout()->size()}};
}

int run_train(const TrainOptions& options) {
  const int threads = options.threads > 0 ? options.threads : describe_machine().cores;
  if (!options.json) print(fmt::format("{:<12} {:>5} {:>12} {:>10} {:>10}\n", "model", "batch", "ms per step", "fastest", "slowest"));
  for (const std::string& name : options.models) {
    const nlohmann::json result = measure(options, name, threads);
    if (options.json) {
      print_json(result);
    } else {
      print(fmt::format("{:<12} {:>5} {:>12.3f} {:>10.3f} {:>10.3f}\n", name, options.batch, result["ms_per_step"].get<double>(), result["fastest"].get<double>(),
                        result["slowest"].get<double>()));
    }
    flush_output();
  }
  return 0;
}

}  // namespace

std::function<int()> train(CLI::App& app) {
  auto options = std::make_shared<TrainOptions>();
  app.add_option("--models", options->models, "which, as lenet5,vgg9")->delimiter(',');
  app.add_option("--batch", options->batch, "examples of a step")->check(CLI::Range(1, 4096))->capture_default_str();
  app.add_option("--steps", options->steps, "of a block")->check(CLI::Range(1, 1000000))->capture_default_str();
  app.add_option("--blocks", options->blocks, "measured; the median counts")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--threads", options->threads, "default: all cores")->check(CLI::Range(1, 1024));
  app.add_option("--weights", options->weights, "file to write the initial weights to, for a peer (one model)");
  add_json_flag(app, options->json);
  return [options] { return run_train(*options); };
}

}  // namespace starling::tools::bench

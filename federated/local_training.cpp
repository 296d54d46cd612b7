#include "federated/local_training.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "core/error.h"
#include "core/random_stream.h"

namespace starling::federated {

using core::Kind;

LocalTrainer::LocalTrainer(const core::TrainableModel& model, core::Pool& pool)
    : model_(model), parameters_(model.layout()), training_(pool, true, true), evaluation_(pool, false, false) {}

core::Batch LocalTrainer::batch(const Selection& examples) {
  const Examples& data = *examples.data;
  const auto gather = [&](const auto& from, std::int64_t each, auto& to) {
    to.resize(examples.members.size() * static_cast<std::size_t>(each));
    auto place = to.begin();
    for (const std::uint32_t m : examples.members) place = std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(m) * each, each, place);
  };
  gather(data.values, data.values_each, values_);
  gather(data.tokens, data.tokens_each, tokens_);
  gather(data.labels, data.labels_each, labels_);
  return {static_cast<std::int64_t>(examples.members.size()), values_, tokens_, labels_};
}

double LocalTrainer::descend(const Selection& examples, core::Augmenter* augment) {
  const core::Batch b = batch(examples);
  if (augment) augment->apply(values_);
  training_.begin(parameters_);
  parameters_.clear_gradients();
  const core::Var loss = cross_entropy(training_, model_.logits(training_, b), model_.row_labels(b));
  training_.backward(loss);
  return static_cast<double>(training_.value(loss)[0]);
}

LocalTrainer::Evaluation LocalTrainer::evaluate(std::span<const float> model, const Examples& all) {
  std::vector<std::uint32_t> members(static_cast<std::size_t>(all.count));
  std::iota(members.begin(), members.end(), 0u);
  return evaluate(model, {&all, members});
}

LocalTrainer::Evaluation LocalTrainer::evaluate(std::span<const float> model, const Selection& examples) {
  std::copy(model.begin(), model.end(), parameters_.values.begin());
  return evaluate_here(examples);
}

LocalTrainer::Evaluation LocalTrainer::evaluate_here(const Selection& examples) {
  // Of texts every token is a row.
  const auto size = static_cast<std::size_t>(std::max<std::int64_t>(1, 256 / examples.data->labels_each));
  const std::span<const std::uint32_t> members = examples.members;
  Evaluation e;
  std::int64_t right = 0;
  for (std::size_t at = 0; at < members.size(); at += size) {
    const core::Batch b = batch({examples.data, members.subspan(at, std::min(size, members.size() - at))});
    evaluation_.begin(parameters_);
    const core::Var logits = model_.logits(evaluation_, b);
    const std::vector<std::int32_t> labels = model_.row_labels(b);
    const auto counted = static_cast<std::int64_t>(std::count_if(labels.begin(), labels.end(), [](std::int32_t l) { return l >= 0; }));
    const double loss = static_cast<double>(evaluation_.value(cross_entropy(evaluation_, logits, labels))[0]);
    e.loss += loss * static_cast<double>(counted);
    e.count += counted;
    const std::size_t classes = static_cast<std::size_t>(evaluation_.shape(logits)[1]);
    for (std::size_t row = 0; row < labels.size(); ++row) {
      if (labels[row] < 0) continue;
      const auto scores = evaluation_.value(logits).subspan(row * classes, classes);
      right += std::max_element(scores.begin(), scores.end()) - scores.begin() == labels[row] ? 1 : 0;
    }
  }
  if (e.count > 0) {
    e.loss /= static_cast<double>(e.count);
    e.accuracy = static_cast<double>(right) / static_cast<double>(e.count);
  }
  return e;
}

namespace {

constexpr const char* kControl = "control";
constexpr const char* kNorms = "norms";

/// The norm layers' values, statistics among them, one after the other.
std::vector<float> norm_values(const core::ParameterLayout& layout, std::span<const float> model) {
  std::vector<float> values;
  for (const core::ParameterEntry& e : layout.entries())
    if (e.part != core::Part::weight) values.insert(values.end(), model.begin() + e.offset, model.begin() + e.offset + e.size);
  return values;
}

void set_norm_values(const core::ParameterLayout& layout, std::span<const float> values, std::span<float> model) {
  std::size_t at = 0, expected = 0;
  for (const core::ParameterEntry& e : layout.entries())
    if (e.part != core::Part::weight) expected += static_cast<std::size_t>(e.size);
  core::check(values.size() == expected, Kind::malformed, "norm layers of {} values were kept, expected {}", values.size(), expected);
  for (const core::ParameterEntry& e : layout.entries()) {
    if (e.part == core::Part::weight) continue;
    std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(at), e.size, model.begin() + e.offset);
    at += static_cast<std::size_t>(e.size);
  }
}

/// |a|_1 of FedNova: how far unit gradients would have moved the model, in learning rates, with this momentum and pull.
class Normaliser {
 public:
  Normaliser(double momentum, double pull) : momentum_(momentum), pull_(pull) {}
  void step() {
    velocity_ = momentum_ * velocity_ + 1 - pull_ * moved_;
    moved_ += velocity_;
  }
  double value() const { return moved_; }

 private:
  double momentum_, pull_, velocity_ = 0, moved_ = 0;
};

}  // namespace

LocalResult LocalTrainer::train(const LocalTask& task, const LocalOptions& options, const LocalWork& work, const ClientState& state) {
  const core::ParameterLayout& layout = *model_.layout();
  core::ensure(task.model.size() == parameters_.values.size() && !task.examples.members.empty(), "a task without examples or with another model");
  const std::int64_t epochs = options.epochs_of(task.client);
  core::check(epochs >= 0 && options.steps >= 0 && options.batch >= 0 && options.learning_rate > 0, Kind::usage,
              "client: epochs = {}, steps = {}, batch = {}, learning_rate = {}", epochs, options.steps, options.batch, options.learning_rate);
  std::vector<float>& y = parameters_.values;
  std::copy(task.model.begin(), task.model.end(), y.begin());
  LocalResult result;
  result.state = state;
  std::vector<float> with_norms, own;
  std::span<const float> start = task.model;
  if (const auto norms = state.vectors.find(kNorms); work.norms_stay_home && norms != state.vectors.end()) {
    set_norm_values(layout, norms->second, y);
    start = with_norms = y;
  }
  const bool corrected = work.proximal > 0 || work.control_variates;
  if (work.control_variates) {
    core::check(epochs > 0 || options.steps > 0, Kind::usage, "client: epochs = 0, but control variates need steps");
    core::check(task.control.size() == y.size(), Kind::malformed, "client {}: a control variate of {} values, expected {}", task.client, task.control.size(), y.size());
    const auto kept = state.vectors.find(kControl);
    own = kept != state.vectors.end() ? kept->second : std::vector<float>(y.size());
    core::check(own.size() == y.size(), Kind::malformed, "client {}: it kept a control variate of {} values, expected {}", task.client, own.size(), y.size());
  }
  if (work.loss_at_start) result.loss_at_start = evaluate_here(task.examples).loss;

  const bool augmented = options.augment == "crop-flip";
  const auto optimizer = core::make_optimizer(options.optimizer);
  Normaliser normaliser(options.optimizer.momentum, options.learning_rate * work.proximal);
  std::vector<std::uint32_t> order(task.examples.members.begin(), task.examples.members.end());
  const std::size_t size = options.batch > 0 ? static_cast<std::size_t>(options.batch) : order.size();
  const auto going_on = [&](std::int64_t epoch) { return options.steps > 0 ? result.steps < options.steps : epoch < epochs; };
  for (std::int64_t epoch = 0; going_on(epoch); ++epoch) {
    const core::RandomPlace place{static_cast<std::uint64_t>(task.round), static_cast<std::uint64_t>(task.client), static_cast<std::uint64_t>(epoch)};
    core::RandomStream(options.seed, core::Purpose::order, place).shuffle(std::span(order));
    std::optional<core::Augmenter> augmenter;
    if (augmented) augmenter.emplace(options.input, core::RandomStream(options.seed, core::Purpose::augmentation, place));
    for (std::size_t at = 0; at < order.size() && (options.steps == 0 || result.steps < options.steps); at += size) {
      const double loss = descend({task.examples.data, std::span<const std::uint32_t>(order).subspan(at, std::min(size, order.size() - at))}, augmenter ? &*augmenter : nullptr);
      core::check(std::isfinite(loss), Kind::refused, "client {}: the loss is {} after {} steps; a smaller learning rate may help", task.client, loss, result.steps);
      result.loss += loss;
      for (const core::ParameterEntry& e : layout.entries()) {
        if (!corrected || e.part == core::Part::statistic) continue;
        for (auto i = static_cast<std::size_t>(e.offset); i < static_cast<std::size_t>(e.offset + e.size); ++i) {
          float& g = parameters_.gradients[i];
          if (work.proximal > 0) g += static_cast<float>(work.proximal) * (y[i] - start[i]);
          if (work.control_variates) g += task.control[i] - own[i];
        }
      }
      optimizer->step(parameters_, options.learning_rate);
      normaliser.step();
      ++result.steps;
    }
  }
  if (result.steps > 0) result.loss /= static_cast<double>(result.steps);
  result.examples = static_cast<std::int64_t>(order.size());
  result.normaliser = normaliser.value();
  result.model = y;
  if (work.control_variates) {
    // Option II of the paper: the mean gradient seen, found back from the way that was gone. With momentum a gradient goes
    // further than its own step, which the normaliser counts.
    const double way = result.normaliser * options.learning_rate;
    std::vector<float> fresh(own.size());
    result.control_change.resize(own.size());
    for (std::size_t i = 0; i < own.size(); ++i) {
      fresh[i] = static_cast<float>(static_cast<double>(own[i]) - static_cast<double>(task.control[i]) + (static_cast<double>(start[i]) - static_cast<double>(y[i])) / way);
      result.control_change[i] = fresh[i] - own[i];
    }
    result.state.vectors[kControl] = std::move(fresh);
  }
  if (work.norms_stay_home) {
    result.state.vectors[kNorms] = norm_values(layout, y);
    set_norm_values(layout, norm_values(layout, task.model), result.model);
  }
  return result;
}

}  // namespace starling::federated

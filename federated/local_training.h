// The client's half: epochs of descent on its own examples, with what a strategy asks for beside (strategy.h).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/data/augment.h"
#include "core/train/model.h"
#include "core/train/optimizer.h"
#include "federated/client_data.h"
#include "federated/strategy.h"

namespace starling::federated {

struct LocalOptions {
  std::int64_t epochs = 1;                 // 0: nothing is trained, which shows what all the rest costs
  std::vector<std::int64_t> epochs_dealt;  // client k has entry k mod their number; empty: epochs for all
  std::int64_t steps = 0;   // so many steps instead of epochs; 0: epochs
  std::int64_t batch = 32;  // 0: all examples
  core::OptimizerOptions optimizer;
  double learning_rate = 0.05;
  std::string augment = "none";  // or crop-flip, see core/data/augment.h
  core::Shape input;             // of an example; needed to augment it
  std::uint64_t seed = 1;

  std::int64_t epochs_of(std::int64_t client) const {
    return epochs_dealt.empty() ? epochs : epochs_dealt[static_cast<std::size_t>(client) % epochs_dealt.size()];
  }
};

/// What a client keeps from round to round: control variates (SCAFFOLD), norm layers (FedBN). A task's changes are
/// committed when the server has acknowledged its reply, so that a lost reply leaves no trace.
struct ClientState {
  std::map<std::string, std::vector<float>> vectors;
};

struct LocalTask {
  std::int64_t client = 0, round = 0;
  std::span<const float> model;    // as received
  std::span<const float> control;  // of the server, for SCAFFOLD
  Selection examples;              // the client's own
};

struct LocalResult {
  std::vector<float> model;
  std::vector<float> control_change;
  std::int64_t examples = 0, steps = 0;
  double loss = 0;           // mean over the steps
  double loss_at_start = 0;  // where asked for
  double normaliser = 0;     // |a|_1 of FedNova
  ClientState state;         // to be committed
};

class LocalTrainer {
 public:
  LocalTrainer(const core::TrainableModel& model, core::Pool& pool);

  /// The same bits for the same arguments, whatever ran before. Kind::refused when the loss is no number any more.
  LocalResult train(const LocalTask& task, const LocalOptions& options, const LocalWork& work, const ClientState& state);

  struct Evaluation {
    double loss = 0, accuracy = 0;
    std::int64_t count = 0;
  };
  /// Mean loss and share of right answers.
  Evaluation evaluate(std::span<const float> model, const Selection& examples);
  Evaluation evaluate(std::span<const float> model, const Examples& all);

 private:
  /// Of the model in parameters_.
  Evaluation evaluate_here(const Selection& examples);
  core::Batch batch(const Selection& examples);
  /// Mean loss of a batch, its images augmented by `augment` if there is one; its gradient in parameters_.
  double descend(const Selection& examples, core::Augmenter* augment);

  const core::TrainableModel& model_;
  core::Parameters parameters_;
  core::Tape training_, evaluation_;
  std::vector<float> values_;
  std::vector<std::int32_t> tokens_, labels_;
};

}  // namespace starling::federated

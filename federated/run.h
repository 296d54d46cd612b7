// A federated run: the server's actions carried out by a workplace under a clock, with counted bytes, evaluations and
// a journal. Virtual and wall time differ in the Timeline alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "federated/journal.h"
#include "federated/server.h"
#include "federated/traffic.h"
#include "federated/workplace.h"

namespace starling::federated {

/// What happens next, and when.
struct Event {
  enum class What { timer, done, failed };
  What what = What::timer;
  std::int64_t id = 0;    // of a timer or a task
  std::string failure;    // why a task failed
  TaskReply reply;        // of a task that is done
};

/// A clock that knows when tasks are done: from the profiles of devices, or because they are.
class Timeline {
 public:
  virtual ~Timeline() = default;
  virtual Seconds now() const = 0;
  virtual void begin(const Assign& task) = 0;
  virtual void timer(const SetTimer& timer) = 0;
  virtual void release(TaskId task) = 0;
  virtual Event wait() = 0;
  /// What is lost with a node is lost, and the others go on.
  virtual bool real() const = 0;
  /// Whether another event happens at this very moment. What is to be done next is decided after the last of them, so
  /// that their order does not matter.
  virtual bool more() const = 0;

  // For journals: when the tasks under way end, where that is known; and back.
  virtual std::map<TaskId, Due> due() const { return {}; }
  virtual void resume(Seconds now, const std::map<TaskId, Due>& due) = 0;
};

struct RoundResult {
  RoundRecord record;
  Seconds at = 0;
  bool evaluated = false;
  double test_loss = 0, test_accuracy = 0;
  Traffic traffic;  // since the start
};

struct RunOptions {
  RoundsPolicy rounds;
  StrategyOptions strategy;
  std::int64_t evaluate_every = 1;
  int threads = 1;                    // of evaluation
  std::filesystem::path journal;      // written after every round; empty: none
  std::uint64_t id = 0;               // of this run, for the journal
};

struct RunResult {
  std::vector<float> model;
  std::int64_t rounds = 0;
  Seconds at = 0;
  Traffic traffic;
  bool completed = false;
  std::string why;  // where it did not
};

/// What is done besides: a round's result is shown and kept; `keep` makes what on_round has kept durable and says how
/// much that is, for the journal.
struct RunHooks {
  std::function<void(const RoundResult&)> on_round;
  std::function<std::uint64_t()> keep;
};

/// From the start, or from `resumed`. The initial model has the seed's values, or `initial` where it is not empty.
RunResult run(const core::TrainableModel& model, const Examples& test, const RunOptions& options, const Population& population, Workplace& workplace,
              Timeline& timeline, const RunHooks& hooks = {}, const Journal* resumed = nullptr, std::span<const float> initial = {});

}  // namespace starling::federated

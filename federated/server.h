// The federated server as a pure state machine: events in, actions out, no socket, no clock, no thread. The simulator,
// local processes and real nodes drive this one machine; time is what the driver says. Synchronous rounds, rounds with
// deadline, quorum and over-selection, and buffered asynchronous training are settings of it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <variant>
#include <vector>

#include "federated/strategy.h"

namespace starling::federated {

using TaskId = std::int64_t;
using Seconds = double;
using Vector = std::shared_ptr<const std::vector<float>>;

/// Who could take part: a pure function of time, so that a million clients cost nothing while they do nothing.
class Population {
 public:
  virtual ~Population() = default;
  virtual std::int64_t size() const = 0;
  virtual bool available(std::int64_t client, Seconds now) const = 0;
  /// When somebody may become available next; nullopt: never.
  virtual std::optional<Seconds> next_change(Seconds now) const = 0;
};

struct RoundsPolicy {
  std::int64_t rounds = 10;
  double fraction = 1;              // of the clients there are
  std::int64_t min_clients = 1;     // in a round at least, else the round waits
  double over_select = 1;           // so many times as many are asked; the first answers count
  Seconds deadline = 0;             // of a round; 0: none
  double quorum = 1;                // share of the wanted answers that ends a round
  std::int64_t min_replies = 1;     // fewer leave the model as it is
  std::int64_t max_failed_rounds = 5;
  bool asynchronous = false;
  std::int64_t concurrency = 10;    // tasks under way, asynchronous
  double norm_max = 0;              // of an update's move; 0: any
  double examples_max = 0;          // weight that a client may claim; 0: any
  std::uint64_t seed = 1;
};

/// What came back for a task.
struct TaskReply {
  TaskId task = 0;
  std::int64_t client = 0;
  double examples = 0;
  std::int64_t steps = 0;
  double normaliser = 0, loss = 0, loss_at_start = 0;
  std::vector<float> model, control;
};

struct RoundRecord {
  std::int64_t round = 0;
  Seconds began = 0, ended = 0;
  std::int64_t asked = 0, used = 0, late = 0, failed = 0;
  std::map<std::string, std::int64_t> refused;  // by reason
  bool changed = false;
  std::string why;                              // where it has not changed
  double train_loss = 0;                        // mean over the replies used, by examples
  std::map<std::string, double> metrics;        // the strategy's own
};

// Actions.
struct Assign {
  TaskId task = 0;
  std::int64_t client = 0, round = 0;
  Vector model, control;
  LocalWork work;
  std::shared_ptr<const Exchanged> exchanged = nullptr;  // what of the model travels; nullptr: all of it
};
struct Commit {  // the reply counts: the client keeps its new state
  TaskId task = 0;
  std::int64_t client = 0;
};
struct Release {  // the task is over without a reply that counts: the client forgets it
  TaskId task = 0;
  std::int64_t client = 0;
};
struct SetTimer {
  std::int64_t timer = 0;
  Seconds at = 0;
};
/// A run between two rounds: all that a server needs to go on as if nothing had happened (with the strategy's state()).
struct ServerSnapshot {
  struct Task {  // under way, in asynchronous training
    TaskId task = 0;
    std::int64_t client = 0, round = 0;
    Vector model, control;
  };
  std::int64_t round = 0, next_task = 1, next_timer = 1, failed_rounds = 0;
  Vector model;
  std::vector<Task> tasks;
};
struct RoundDone {
  RoundRecord record;
  Vector model;
};
struct Finished {
  bool completed = false;
  std::string why;
};
using Action = std::variant<Assign, Commit, Release, SetTimer, RoundDone, Finished>;
using Actions = std::vector<Action>;

class Server {
 public:
  /// Kind::usage for a policy that cannot be.
  Server(const RoundsPolicy& policy, std::unique_ptr<Strategy> strategy, std::vector<float> model, const Population& population);

  // Events. After all events of one time the driver calls settle(), so that their order does not decide who is asked
  // next.
  Actions start(Seconds now);
  Actions reply(TaskReply reply, Seconds now);
  Actions failed(TaskId task, const std::string& reason, Seconds now);
  Actions timer(std::int64_t timer, Seconds now);
  Actions settle(Seconds now);

  /// nullopt while replies are gathered.
  std::optional<ServerSnapshot> snapshot() const;
  /// Instead of start(): the tasks under way are assigned once more.
  Actions restore(const ServerSnapshot& snapshot, Seconds now);

  Strategy& strategy() { return *strategy_; }
  const Vector& model() const { return model_; }
  std::int64_t round() const { return round_; }
  bool finished() const { return finished_; }
  std::size_t tasks_under_way() const { return tasks_.size(); }
  /// Different models that tasks under way started from, the current one included.
  std::size_t versions_alive() const;

 private:
  struct Task {
    std::int64_t client, round;
    Vector model, control;
  };

  std::vector<std::int64_t> sample(std::int64_t count, Seconds now, std::uint64_t draw);
  void assign(const std::vector<std::int64_t>& clients, Actions& actions);
  void begin_round(Seconds now, Actions& actions);
  void end_round(Seconds now, Actions& actions);
  void move_on(const Outcome& outcome, std::vector<float> model, Seconds now, Actions& actions);
  void give_up(const std::string& why, Actions& actions);

  RoundsPolicy policy_;
  std::unique_ptr<Strategy> strategy_;
  Vector model_;
  const Population& population_;
  std::int64_t round_ = 0, next_task_ = 1, next_timer_ = 1, failed_rounds_ = 0;
  std::int64_t wanted_ = 0, round_timer_ = 0, wait_timer_ = 0;
  std::uint64_t draws_ = 0;
  RoundRecord record_;
  double loss_weight_ = 0;
  std::map<TaskId, Task> tasks_;
  std::unordered_set<std::int64_t> busy_;
  bool in_round_ = false, finished_ = false;
};

}  // namespace starling::federated

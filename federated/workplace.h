// Where tasks are trained: threads of this process, or nodes. The run (run.h) says what is to be done; when a reply
// counts is the business of its clock, so a workplace may train in any order.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "federated/client_data.h"
#include "federated/client_states.h"
#include "federated/server.h"

namespace starling::federated {

/// What became of a task.
struct Trained {
  TaskId task = 0;
  std::string failure;  // empty: there is a reply
  bool lost = false;    // the failure is the node's, not the training's
  bool stateful = false;  // the client keeps something, once the reply counts
  TaskReply reply;
};

/// One thread calls it.
class Workplace {
 public:
  using Clock = std::chrono::steady_clock;

  virtual ~Workplace() = default;
  /// Those due first are trained first.
  virtual void begin(const Assign& task, Seconds due) = 0;
  /// Waits for a task that has begun; each is fetched once, here or by next().
  virtual Trained finish(TaskId task) = 0;
  /// Any task that is done, in the order in which they were; nullopt at the deadline.
  virtual std::optional<Trained> next(Clock::time_point deadline) = 0;
  /// The reply counts: the client keeps its new state.
  virtual void commit(const Commit& task) = 0;
  /// Nobody waits for the task any more; done or not, it leaves no trace.
  virtual void release(TaskId task) = 0;
  /// Returns when all commits are where they survive this process; tasks below `oldest` will not be asked for again.
  /// Kind::unreachable when a node has gone with some of them.
  virtual void settle(TaskId oldest) = 0;
  /// Whether the client can be given a task.
  virtual bool reachable(std::int64_t) const { return true; }
};

/// The reply of a task, as the server takes it.
TaskReply make_reply(TaskId task, std::int64_t client, LocalResult&& result);

struct LocalWorkplaceOptions {
  LocalOptions local;
  int threads = 1;  // the caller's among them: it trains while it waits
};

/// The threads of this process, one task a thread. The deadline of next() may pass by a task that the caller trains. All
/// arguments are borrowed.
std::unique_ptr<Workplace> local_workplace(const core::TrainableModel& model, const ClientData& data, ClientStates& states, const LocalWorkplaceOptions& options);

}  // namespace starling::federated

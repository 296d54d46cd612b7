// Tasks trained on nodes: client k lives on node k mod N, or each node is one client with data of its own. Each node
// has a session and a thread here, so that one that is slow, silent or gone stops no other.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "comm/transport.h"
#include "federated/client_messages.h"
#include "federated/workplace.h"

namespace starling::federated {

/// A node's session: this side is rank 0, the node `rank`.
struct ClientNode {
  comm::Transport* transport = nullptr;
  comm::Rank rank = 1;
  /// A new session with a node that was gone, or an Error; called by a thread of the workplace. Empty: gone is gone.
  std::function<comm::Transport*()> reconnect = {};
  /// A model that several of its clients start from is sent to it once; false: once for each, as to devices of their own.
  bool shares_models = true;
};

class RemoteWorkplace final : public Workplace {
 public:
  /// Starts `job` on all nodes (which numbers them) and returns when all are ready; throws what the first that cannot
  /// be says. One that can be reconnected and has gone meanwhile is waited for later.
  RemoteWorkplace(std::vector<ClientNode> nodes, ClientJob job);
  ~RemoteWorkplace() override;

  /// Of each node's own data; 0 where it holds its part of everybody's.
  std::vector<std::uint64_t> own_examples() const;

  void begin(const Assign& task, Seconds due) override;
  Trained finish(TaskId task) override;
  std::optional<Trained> next(Clock::time_point deadline) override;
  void commit(const Commit& task) override;
  void release(TaskId task) override;
  void settle(TaskId oldest) override;
  bool reachable(std::int64_t client) const override;

  /// Ends the job in good order, when no task is waited for any more; what each node did (zeros for one that is gone).
  std::vector<ClientReport> close();

 private:
  enum class Stage { waiting, sent, done, released };
  struct Entry {
    Assign task;
    Seconds due;
    Stage stage;
    Trained result;
  };
  struct Link {
    ClientNode node;
    std::uint32_t number = 0;     // among the nodes
    std::uint64_t values = 0;
    ClientReady ready;
    std::set<std::pair<Seconds, TaskId>> waiting;
    std::vector<Verdict> verdicts;
    std::optional<TaskId> settle;
    std::string dead;             // why; empty while it lives
    bool unsettled = false;       // verdicts that a client acts on have gone out
    bool leaving = false, left = false;
    Vector model, control;        // what the node has
    ClientReport report;
    std::jthread thread;
  };

  Link& link_of(std::int64_t client) { return links_[static_cast<std::size_t>(client) % links_.size()]; }
  const Link& link_of(std::int64_t client) const { return links_[static_cast<std::size_t>(client) % links_.size()]; }
  void serve(Link& link);
  void start_job(Link& link, ClientJob job);
  ClientReady receive_ready(Link& link);
  /// A step towards the start of the job, or the link is dead from the start.
  static void if_there(Link& link, const std::function<void()>& step);
  /// Waits for the node to come back; false when nobody waits for that any more.
  bool revive(Link& link);
  /// One turn: sends what there is to send, and takes in the answers. False when the job is over.
  bool turn(Link& link);
  void exchange(Link& link, const std::vector<TaskId>& batch);
  comm::Incoming answer(Link& link, comm::Kind expected);
  std::vector<std::byte> read(Link& link, const comm::Incoming& incoming);
  void deliver(Link& link, Trained&& result);
  void lose(Link& link, const std::string& why);
  Trained take(TaskId task);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<TaskId, Entry> tasks_;
  std::deque<TaskId> done_;
  std::map<TaskId, std::int64_t> judged_later_;  // fetched, stateful: the client waits for a verdict
  ClientJob job_;
  bool stopping_ = false;
  std::deque<Link> links_;                       // last: their threads use all of the above
};

}  // namespace starling::federated

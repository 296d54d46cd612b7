// Real time: tasks are done when the nodes have done them, and the steady clock says who is late.
#pragma once

#include <set>

#include "federated/run.h"

namespace starling::federated {

class WallTimeline final : public Timeline {
 public:
  explicit WallTimeline(Workplace& workplace) : workplace_(workplace), start_(Workplace::Clock::now()) {}

  Seconds now() const override { return before_ + std::chrono::duration<double>(Workplace::Clock::now() - start_).count(); }
  void begin(const Assign& task) override { workplace_.begin(task, now()); }
  void timer(const SetTimer& timer) override { timers_.emplace(timer.at, timer.timer); }
  void release(TaskId) override {}
  Event wait() override;
  bool real() const override { return true; }
  bool more() const override { return false; }
  void resume(Seconds now, const std::map<TaskId, Due>&) override { before_ = now; }

 private:
  Workplace& workplace_;
  Workplace::Clock::time_point start_;
  Seconds before_ = 0;  // in the lives before this one
  std::set<std::pair<Seconds, std::int64_t>> timers_;
};

/// Everybody whose node can be reached, now.
class ReachablePopulation final : public Population {
 public:
  ReachablePopulation(std::int64_t clients, const Workplace& workplace) : clients_(clients), workplace_(workplace) {}
  std::int64_t size() const override { return clients_; }
  bool available(std::int64_t client, Seconds) const override { return workplace_.reachable(client); }
  /// Soon: a node that is gone may come back.
  std::optional<Seconds> next_change(Seconds now) const override { return now + 0.5; }

 private:
  std::int64_t clients_;
  const Workplace& workplace_;
};

}  // namespace starling::federated

#include "federated/attacked_workplace.h"

#include "core/error.h"

namespace starling::federated {
namespace {

class AttackedWorkplace final : public Workplace {
 public:
  AttackedWorkplace(Workplace& inner, const Attack& attack) : inner_(inner), attack_(attack) {}

  void begin(const Assign& task, Seconds due) override {
    tasks_.emplace(task.task, Entry{task, {}});
    if (attack_.needs_seen()) {
      std::erase_if(rounds_, [&](const auto& round) { return round.first < task.round; });
      Round& round = rounds_[task.round];
      ++round.clients;
      round.hostile += attack_.hostile(task.client) ? 1 : 0;
    }
    inner_.begin(task, due);
  }
  Trained finish(TaskId id) override {
    Trained trained = honest(id);
    const Assign task = tasks_.at(id).task;
    if (trained.failure.empty() && attack_.hostile(task.client)) change(task, trained);
    tasks_.erase(id);
    return trained;
  }
  std::optional<Trained> next(Clock::time_point deadline) override {
    core::ensure(!attack_.needs_seen(), "an attack that sees what others will send, in real time");
    std::optional<Trained> trained = inner_.next(deadline);
    if (!trained) return trained;
    const auto found = tasks_.find(trained->task);
    if (trained->failure.empty() && attack_.hostile(found->second.task.client)) change(found->second.task, *trained);
    tasks_.erase(found);
    return trained;
  }
  void commit(const Commit& task) override { inner_.commit(task); }
  void release(TaskId task) override {
    tasks_.erase(task);
    inner_.release(task);
  }
  void settle(TaskId oldest) override { inner_.settle(oldest); }
  bool reachable(std::int64_t client) const override { return inner_.reachable(client); }

 private:
  struct Entry {
    Assign task;
    std::optional<Trained> result;  // fetched before its time, because an attacker looked at it
  };

  Trained honest(TaskId id) {
    Entry& entry = tasks_.at(id);
    if (entry.result) return std::move(*entry.result);
    Trained trained = inner_.finish(id);
    see(entry.task, trained);
    return trained;
  }

  void see(const Assign& task, const Trained& trained) {
    if (!attack_.needs_seen() || attack_.hostile(task.client) || !trained.failure.empty()) return;
    rounds_.at(task.round).models.push_back(trained.reply.model);
  }

  void change(const Assign& task, Trained& trained) {
    Seen seen;
    std::vector<std::span<const float>> models;
    if (attack_.needs_seen()) {
      for (auto& [id, entry] : tasks_) {
        if (entry.task.round != task.round || entry.result || attack_.hostile(entry.task.client)) continue;
        entry.result = inner_.finish(id);
        see(entry.task, *entry.result);
      }
      const Round& r = rounds_.at(task.round);
      models.assign(r.models.begin(), r.models.end());
      seen = {models, r.clients, r.hostile};
    }
    attack_.apply(task.round, *task.model, trained.reply, seen);
  }

  /// What there is to be seen of a round.
  struct Round {
    std::vector<std::vector<float>> models;
    std::int64_t clients = 0, hostile = 0;
  };

  Workplace& inner_;
  const Attack& attack_;
  std::map<TaskId, Entry> tasks_;
  std::map<std::int64_t, Round> rounds_;
};

}  // namespace

std::unique_ptr<Workplace> attacked(Workplace& inner, const Attack& attack) { return std::make_unique<AttackedWorkplace>(inner, attack); }

}  // namespace starling::federated

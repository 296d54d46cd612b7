// Tasks trained by the threads of this process, those due first before others, a little ahead of when they are asked for.
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <set>
#include <thread>
#include <tuple>

#include "core/error.h"
#include "federated/workplace.h"

namespace starling::federated {

TaskReply make_reply(TaskId task, std::int64_t client, LocalResult&& r) {
  TaskReply reply;
  reply.task = task;
  reply.client = client;
  reply.examples = static_cast<double>(r.examples);
  reply.steps = r.steps;
  reply.normaliser = r.normaliser;
  reply.loss = r.loss;
  reply.loss_at_start = r.loss_at_start;
  reply.model = std::move(r.model);
  reply.control = std::move(r.control_change);
  return reply;
}

namespace {

class LocalWorkplace final : public Workplace {
 public:
  LocalWorkplace(const core::TrainableModel& model, const ClientData& data, ClientStates& states, const LocalWorkplaceOptions& options)
      : model_(model), data_(data), states_(states), options_(options), ahead_(2 * static_cast<std::size_t>(options.threads) + 2) {
    core::check(options.threads > 0, core::Kind::usage, "threads = {}", options.threads);
    for (int i = 0; i < options.threads; ++i) threads_.emplace_back([this] { work(); });
  }
  ~LocalWorkplace() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
  }

  void begin(const Assign& task, Seconds due) override {
    {
      const std::lock_guard lock(mutex_);
      waiting_.emplace(due, task.task);
      tasks_.emplace(task.task, Entry{task, due, Stage::waiting, {}, {}});
    }
    changed_.notify_all();
  }

  Trained finish(TaskId id) override {
    std::unique_lock lock(mutex_);
    core::ensure(tasks_.count(id) > 0, "a task that has begun");
    wanted_ = id;
    changed_.notify_all();
    changed_.wait(lock, [&] { return error_ || tasks_.at(id).stage == Stage::done; });
    return take(id);
  }

  std::optional<Trained> next(Clock::time_point deadline) override {
    std::unique_lock lock(mutex_);
    const auto ready = [&] { return error_ || !done_.empty(); };
    if (deadline == Clock::time_point::max())
      changed_.wait(lock, ready);
    else if (!changed_.wait_until(lock, deadline, ready))
      return std::nullopt;
    return take(done_.empty() ? 0 : done_.front());
  }

  void commit(const Commit& task) override {
    ClientState state;
    {
      const std::lock_guard lock(mutex_);
      const auto found = kept_.find(task.task);
      if (found == kept_.end()) return;
      state = std::move(found->second);
      kept_.erase(found);
    }
    states_.put(task.client, task.task, std::move(state));
  }

  void release(TaskId id) override {
    const std::lock_guard lock(mutex_);
    kept_.erase(id);
    const auto found = tasks_.find(id);
    if (found == tasks_.end()) return;
    Entry& entry = found->second;
    if (entry.stage == Stage::training) {
      entry.stage = Stage::released;
      return;
    }
    waiting_.erase({entry.due, id});
    std::erase(done_, id);
    tasks_.erase(found);
    changed_.notify_all();
  }

  void settle(TaskId oldest) override { states_.forget_before(oldest); }

 private:
  enum class Stage { waiting, training, done, released };
  struct Entry {
    Assign task;
    Seconds due;
    Stage stage;
    Trained result;
    ClientState state;
  };

  /// What a task gave; its state waits in kept_ for a commit. Under the lock.
  Trained take(TaskId id) {
    if (error_) std::rethrow_exception(error_);
    const auto found = tasks_.find(id);
    Trained result = std::move(found->second.result);
    if (!found->second.state.vectors.empty()) kept_[id] = std::move(found->second.state);
    std::erase(done_, id);
    tasks_.erase(found);
    if (wanted_ == id) wanted_ = 0;
    changed_.notify_all();
    return result;
  }

  /// The task to train now, nullptr for none. Results wait in memory, so there are bounds to working ahead.
  Entry* choose() {
    if (const auto found = tasks_.find(wanted_); found != tasks_.end() && found->second.stage == Stage::waiting) return &found->second;
    if (waiting_.empty() || done_.size() + running_ >= ahead_) return nullptr;
    return &tasks_.at(waiting_.begin()->second);
  }

  void work() {
    core::Pool pool(1);
    LocalTrainer trainer(model_, pool);
    Room room;
    std::unique_lock lock(mutex_);
    while (true) {
      Entry* entry = nullptr;
      changed_.wait(lock, [&] { return stopping_ || (!error_ && (entry = choose())); });
      if (stopping_) return;
      entry->stage = Stage::training;
      waiting_.erase({entry->due, entry->task.task});
      ++running_;
      lock.unlock();
      std::exception_ptr error;
      try {
        train(*entry, trainer, room);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      --running_;
      if (error && !error_) error_ = error;
      if (entry->stage == Stage::released) {
        tasks_.erase(entry->task.task);
      } else {
        entry->stage = Stage::done;
        done_.push_back(entry->task.task);
      }
      changed_.notify_all();
    }
  }

  void train(Entry& entry, LocalTrainer& trainer, Room& room) const {
    const Assign& a = entry.task;
    entry.result.task = a.task;
    try {
      const LocalTask local{a.client, a.round, *a.model, a.control ? std::span<const float>(*a.control) : std::span<const float>(), data_.of(a.client, room)};
      LocalResult result = trainer.train(local, options_.local, a.work, states_.get(a.client, a.task));
      entry.state = std::move(result.state);
      entry.result.stateful = !entry.state.vectors.empty();
      entry.result.reply = make_reply(a.task, a.client, std::move(result));
    } catch (const core::Error& error) {
      if (error.kind() != core::Kind::refused) throw;
      entry.result.failure = error.what();
    }
  }

  const core::TrainableModel& model_;
  const ClientData& data_;
  ClientStates& states_;
  const LocalWorkplaceOptions options_;
  const std::size_t ahead_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::pair<Seconds, TaskId>> waiting_;
  std::map<TaskId, Entry> tasks_;
  std::deque<TaskId> done_;              // in the order in which they were done
  std::map<TaskId, ClientState> kept_;   // of tasks fetched, until commit or release
  std::size_t running_ = 0;
  TaskId wanted_ = 0;
  bool stopping_ = false;
  std::exception_ptr error_;
  std::vector<std::jthread> threads_;    // last: they use all of the above
};

}  // namespace

std::unique_ptr<Workplace> local_workplace(const core::TrainableModel& model, const ClientData& data, ClientStates& states, const LocalWorkplaceOptions& options) {
  return std::make_unique<LocalWorkplace>(model, data, states, options);
}

}  // namespace starling::federated

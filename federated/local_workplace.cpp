// Tasks trained by the threads of this process, those due first before others, a little ahead of when they are asked for.
// Who waits for a task trains meanwhile: one thread needs no other, and none is idle while there is work. Tasks may take
// microseconds, so helpers fetch several at once, and nobody is woken who has nothing to do.
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

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

/// How many results may wait in memory: a few, or as many as are small.
std::size_t results_max(std::int64_t values, int threads) {
  constexpr std::size_t kBytes = std::size_t{4} << 20, kEach = 64;
  const auto n = static_cast<std::size_t>(threads), small = kBytes / (static_cast<std::size_t>(values) * sizeof(float) + 1);
  return std::max(2 * n + 2, std::min(kEach * n, small));
}

/// What a thread trains with.
struct Hands {
  explicit Hands(const core::TrainableModel& model) : trainer(model, pool) {}
  core::Pool pool{1};
  LocalTrainer trainer;
  Room room;
};

class LocalWorkplace final : public Workplace {
 public:
  LocalWorkplace(const core::TrainableModel& model, const ClientData& data, ClientStates& states, const LocalWorkplaceOptions& options)
      : model_(model), data_(data), states_(states), options_(options), results_max_(results_max(model.layout()->size(), options.threads)), caller_(model) {
    core::check(options.threads > 0, core::Kind::usage, "threads = {}", options.threads);
    for (int i = 1; i < options.threads; ++i) helpers_.emplace_back([this] { help(); });
  }
  ~LocalWorkplace() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
  }

  void begin(const Assign& task, Seconds due) override {
    const std::lock_guard lock(mutex_);
    Entry& entry = tasks_[task.task];
    entry.task = task;
    entry.due = due;
    waiting_.emplace(std::pair{due, task.task}, &entry);
    if (idle_ > 0 && has_room()) work_.notify_one();
  }

  Trained finish(TaskId id) override {
    std::unique_lock lock(mutex_);
    const auto found = tasks_.find(id);
    core::ensure(found != tasks_.end(), "a task that has begun");
    Entry& wanted = found->second;
    wanted_ = &wanted;
    train_until(lock, [&] { return wanted.stage == Stage::done; }, Clock::time_point::max());
    wanted_ = nullptr;
    return take(id);
  }

  std::optional<Trained> next(Clock::time_point deadline) override {
    std::unique_lock lock(mutex_);
    if (!train_until(lock, [&] { return !done_.empty(); }, deadline)) return std::nullopt;
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
    forget(found);
  }

  void settle(TaskId oldest) override { states_.forget_before(oldest); }

 private:
  enum class Stage { waiting, training, done, released };
  struct Entry {
    Assign task;
    Seconds due = 0;
    Stage stage = Stage::waiting;
    Trained result;
    ClientState state;
  };

  // All but train() and help() under the lock.

  bool has_room() const { return done_.size() + running_ < results_max_; }

  void forget(std::unordered_map<TaskId, Entry>::iterator task) {
    if (task->second.stage == Stage::done) std::erase(done_, task->first);
    tasks_.erase(task);
    // Helpers that had no room sleep until there is plenty, so that they are not woken for every task.
    if (idle_ > 0 && !waiting_.empty() && done_.size() + running_ <= results_max_ / 2) work_.notify_one();
  }

  /// What a task gave; its state waits in kept_ for a commit.
  Trained take(TaskId id) {
    if (error_) std::rethrow_exception(error_);
    const auto found = tasks_.find(id);
    Trained result = std::move(found->second.result);
    if (!found->second.state.vectors.empty()) kept_[id] = std::move(found->second.state);
    forget(found);
    return result;
  }

  void start(Entry& entry) {
    entry.stage = Stage::training;
    waiting_.erase({entry.due, entry.task.task});
    ++running_;
  }

  void end(Entry& entry) {
    --running_;
    if (entry.stage == Stage::released) {
      tasks_.erase(entry.task.task);
      return;
    }
    entry.stage = Stage::done;
    done_.push_back(entry.task.task);
  }

  /// The task that the caller trains now, nullptr for none.
  Entry* choose() const {
    if (wanted_ && wanted_->stage == Stage::waiting) return wanted_;
    return waiting_.empty() || !has_room() ? nullptr : waiting_.begin()->second;
  }

  /// The caller trains until `ready` or `deadline`, which is looked at between two tasks; false when that was first.
  template <class Ready>
  bool train_until(std::unique_lock<std::mutex>& lock, const Ready& ready, Clock::time_point deadline) {
    while (!error_ && !ready()) {
      const bool forever = deadline == Clock::time_point::max();
      if (!forever && Clock::now() >= deadline) return false;
      if (Entry* entry = choose()) {
        start(*entry);
        lock.unlock();
        const std::exception_ptr error = train(*entry, caller_);
        lock.lock();
        if (error && !error_) error_ = error;
        end(*entry);
        continue;
      }
      caller_waits_ = true;
      if (forever)
        done_changed_.wait(lock);
      else
        done_changed_.wait_until(lock, deadline);
      caller_waits_ = false;
    }
    return true;
  }

  void help() {
    constexpr std::size_t kMost = 16;
    Hands hands(model_);
    std::vector<Entry*> mine;
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
      work_.wait(lock, [&] { return stopping_ || (!error_ && !waiting_.empty() && has_room()); });
      --idle_;
      if (stopping_) return;
      // Fewer and fewer towards the end of what waits, so that all threads end together.
      const std::size_t share = waiting_.size() / (4 * static_cast<std::size_t>(options_.threads));
      mine.clear();
      while (!waiting_.empty() && has_room() && mine.size() < std::clamp<std::size_t>(share, 1, kMost)) {
        mine.push_back(waiting_.begin()->second);
        start(*mine.back());
      }
      lock.unlock();
      std::exception_ptr error;
      for (Entry* entry : mine)
        if (!error) error = train(*entry, hands);
      lock.lock();
      if (error && !error_) error_ = error;
      for (Entry* entry : mine) end(*entry);
      if (caller_waits_ && (error_ || (wanted_ ? wanted_->stage == Stage::done : !done_.empty()))) done_changed_.notify_one();
    }
  }

  std::exception_ptr train(Entry& entry, Hands& hands) const {
    const Assign& a = entry.task;
    entry.result.task = a.task;
    try {
      const LocalTask local{a.client, a.round, *a.model, a.control ? std::span<const float>(*a.control) : std::span<const float>(), data_.of(a.client, hands.room)};
      LocalResult result = hands.trainer.train(local, options_.local, a.work, states_.get(a.client, a.task));
      entry.state = std::move(result.state);
      entry.result.stateful = !entry.state.vectors.empty();
      entry.result.reply = make_reply(a.task, a.client, std::move(result));
    } catch (const core::Error& error) {
      if (error.kind() != core::Kind::refused) return std::current_exception();
      entry.result.failure = error.what();
    } catch (...) {
      return std::current_exception();
    }
    return nullptr;
  }

  const core::TrainableModel& model_;
  const ClientData& data_;
  ClientStates& states_;
  const LocalWorkplaceOptions options_;
  const std::size_t results_max_;
  Hands caller_;
  std::mutex mutex_;
  std::condition_variable work_, done_changed_;  // for helpers; for the caller
  std::unordered_map<TaskId, Entry> tasks_;
  std::map<std::pair<Seconds, TaskId>, Entry*> waiting_;
  std::deque<TaskId> done_;              // in the order in which they were done
  std::map<TaskId, ClientState> kept_;   // of tasks fetched, until commit or release
  std::size_t running_ = 0, idle_ = 0;   // tasks; helpers
  Entry* wanted_ = nullptr;              // the task that the caller needs next; nullptr: any
  bool caller_waits_ = false, stopping_ = false;
  std::exception_ptr error_;
  std::vector<std::jthread> helpers_;    // last: they use all of the above
};

}  // namespace

std::unique_ptr<Workplace> local_workplace(const core::TrainableModel& model, const ClientData& data, ClientStates& states, const LocalWorkplaceOptions& options) {
  return std::make_unique<LocalWorkplace>(model, data, states, options);
}

}  // namespace starling::federated

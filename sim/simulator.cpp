#include "sim/simulator.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <thread>

#include "core/error.h"

namespace starling::sim {
namespace {

using core::Kind;
using federated::Seconds;

struct Outstanding {
  federated::Assign assign;
  federated::ClientState state;  // as it was when the task began
  std::optional<federated::LocalResult> result;
  std::string failure;
};

/// What happens when; ties in the order of creation.
struct Event {
  Seconds at = 0;
  std::int64_t number = 0;
  bool timer = false;
  std::int64_t id = 0;  // of a timer or a task

  bool operator<(const Event& other) const { return std::tie(at, number) < std::tie(other.at, other.number); }
};

class Simulation {
 public:
  Simulation(const core::TrainableModel& model, const federated::Examples& train, const federated::Examples& test, const core::Partition& parts,
             const SimulationOptions& options, const std::function<void(const RoundResult&)>& on_round)
      : options_(options), parts_(parts), devices_(options.devices), on_round_(on_round), pool_(options.threads), evaluator_(model, test, pool_) {
    core::check(static_cast<std::int64_t>(parts.size()) == devices_.size(), Kind::usage, "{} clients, but the data is cut for {}", devices_.size(), parts.size());
    for (int i = 0; i < options.threads; ++i) {
      pools_.push_back(std::make_unique<core::Pool>(1));
      trainers_.push_back(std::make_unique<federated::LocalTrainer>(model, train, *pools_.back()));
    }
    core::Parameters initial(model.layout());
    core::initialise(initial, options.rounds.seed);
    bytes_ = 4.0 * static_cast<double>(model.layout()->size());
    federated::StrategyOptions strategy = options.strategy;
    strategy.clients = devices_.size();
    strategy.client_learning_rate = options.local.learning_rate;
    server_ = std::make_unique<federated::Server>(options.rounds, federated::make_strategy(strategy, model.layout()), initial.values, devices_);
  }

  SimulationResult run() {
    handle(server_->start(0));
    while (!server_->finished()) {
      core::ensure(!events_.empty(), "a run that waits for nothing");
      now_ = events_.begin()->at;
      while (!server_->finished() && !events_.empty() && events_.begin()->at == now_) {
        const Event event = *events_.begin();
        events_.erase(events_.begin());
        event.timer ? handle(server_->timer(event.id, now_)) : arrive(event.id);
      }
      handle(server_->settle(now_));
    }
    result_.model = *server_->model();
    return std::move(result_);
  }

 private:
  void handle(const federated::Actions& actions) {
    for (const federated::Action& action : actions) std::visit([this](const auto& a) { on(a); }, action);
  }

  void on(const federated::Assign& a) {
    const auto members = static_cast<std::int64_t>(parts_[static_cast<std::size_t>(a.client)].size());
    downlink_ += bytes_ * (a.work.control_variates ? 2 : 1);
    const std::int64_t batch = options_.local.batch > 0 ? std::min(options_.local.batch, members) : members;
    const Load load{options_.local.epochs * ((members + batch - 1) / std::max<std::int64_t>(1, batch)), batch, bytes_, bytes_};
    events_.insert({now_ + devices_.seconds(a.client, a.round, load, now_), next_event_++, false, a.task});
    const auto state = states_.find(a.client);
    tasks_.emplace(a.task, Outstanding{a, state != states_.end() ? state->second : federated::ClientState{}, {}, {}});
  }
  void on(const federated::Commit& c) {
    if (!arrived_.vectors.empty()) states_[c.client] = std::move(arrived_);
  }
  void on(const federated::Release& r) { tasks_.erase(r.task); }
  void on(const federated::SetTimer& t) { events_.insert({t.at, next_event_++, true, t.timer}); }
  void on(const federated::Finished& f) {
    result_.completed = f.completed;
    result_.why = f.why;
  }
  void on(const federated::RoundDone& done) {
    RoundResult round{done.record, now_, false, 0, 0, uplink_, downlink_};
    if (done.record.round % options_.evaluate_every == 0 || done.record.round == options_.rounds.rounds) {
      const auto e = evaluator_.evaluate(*done.model);
      round.evaluated = true;
      round.test_loss = e.loss;
      round.test_accuracy = e.accuracy;
    }
    result_.rounds.push_back(round);
    if (on_round_) on_round_(round);
  }

  void arrive(federated::TaskId id) {
    auto found = tasks_.find(id);
    if (found == tasks_.end()) return;  // released before
    const federated::Assign& a = found->second.assign;
    if (devices_.fails(a.client, a.round)) {
      tasks_.erase(found);
      return handle(server_->failed(id, "the device failed", now_));
    }
    if (!found->second.result && found->second.failure.empty()) train_ahead(id);
    Outstanding task = std::move(found->second);
    tasks_.erase(found);
    if (!task.failure.empty()) return handle(server_->failed(id, task.failure, now_));
    federated::LocalResult& r = *task.result;
    federated::TaskReply reply;
    reply.task = id;
    reply.client = task.assign.client;
    reply.examples = static_cast<double>(r.examples);
    reply.steps = r.steps;
    reply.normaliser = r.normaliser;
    reply.loss = r.loss;
    reply.loss_at_start = r.loss_at_start;
    reply.model = std::move(r.model);
    reply.control = std::move(r.control_change);
    uplink_ += 4.0 * static_cast<double>(reply.model.size() + reply.control.size());
    arrived_ = std::move(r.state);
    handle(server_->reply(std::move(reply), now_));
  }

  /// Trains `id` and what is due after it, one task a thread.
  void train_ahead(federated::TaskId id) {
    std::vector<Outstanding*> batch{&tasks_.at(id)};
    for (auto event = events_.begin(); event != events_.end() && batch.size() < trainers_.size(); ++event) {
      const auto task = event->timer ? tasks_.end() : tasks_.find(event->id);
      if (task != tasks_.end() && !task->second.result && task->second.failure.empty() &&
          !devices_.fails(task->second.assign.client, task->second.assign.round))
        batch.push_back(&task->second);
    }
    std::vector<std::jthread> threads;
    std::vector<std::exception_ptr> errors(batch.size());
    const auto work = [&](std::size_t i) {
      try {
        train(*batch[i], *trainers_[i]);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    };
    for (std::size_t i = 1; i < batch.size(); ++i) threads.emplace_back(work, i);
    work(0);
    threads.clear();
    for (const std::exception_ptr& error : errors)
      if (error) std::rethrow_exception(error);
  }

  void train(Outstanding& task, federated::LocalTrainer& trainer) {
    const federated::Assign& a = task.assign;
    const federated::LocalTask local{a.client, a.round, *a.model, a.control ? std::span<const float>(*a.control) : std::span<const float>(),
                                     parts_[static_cast<std::size_t>(a.client)]};
    federated::LocalOptions options = options_.local;
    options.seed = options_.rounds.seed;
    try {
      task.result = trainer.train(local, options, a.work, task.state);
    } catch (const core::Error& error) {
      if (error.kind() != Kind::refused) throw;
      task.failure = error.what();
    }
  }

  const SimulationOptions& options_;
  const core::Partition& parts_;
  Devices devices_;
  const std::function<void(const RoundResult&)>& on_round_;
  core::Pool pool_;
  federated::LocalTrainer evaluator_;
  std::vector<std::unique_ptr<core::Pool>> pools_;
  std::vector<std::unique_ptr<federated::LocalTrainer>> trainers_;
  std::unique_ptr<federated::Server> server_;
  std::set<Event> events_;
  std::map<federated::TaskId, Outstanding> tasks_;
  std::map<std::int64_t, federated::ClientState> states_;
  federated::ClientState arrived_;
  SimulationResult result_;
  Seconds now_ = 0;
  std::int64_t next_event_ = 0;
  double bytes_ = 0, uplink_ = 0, downlink_ = 0;
};

}  // namespace

SimulationResult simulate(const core::TrainableModel& model, const federated::Examples& train, const federated::Examples& test, const core::Partition& parts,
                          const SimulationOptions& options, const std::function<void(const RoundResult&)>& on_round) {
  core::check(options.threads > 0 && options.evaluate_every > 0, Kind::usage, "simulation: threads = {}, evaluate every {}", options.threads, options.evaluate_every);
  return Simulation(model, train, test, parts, options, on_round).run();
}

}  // namespace starling::sim

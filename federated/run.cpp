#include "federated/run.h"

#include <algorithm>

#include "core/crash_point.h"
#include "core/error.h"

namespace starling::federated {
namespace {

using core::Kind;

class Run {
 public:
  Run(const core::TrainableModel& model, const Examples& test, const RunOptions& options, const Population& population, Workplace& workplace,
      Timeline& timeline, const RunHooks& hooks, std::span<const float> initial)
      : test_(test), options_(options), workplace_(workplace), timeline_(timeline), hooks_(hooks), pool_(options.threads), evaluator_(model, pool_) {
    core::check(options.evaluate_every > 0, Kind::usage, "evaluate every {} rounds", options.evaluate_every);
    core::Parameters parameters(model.layout());
    core::initialise(parameters, options.rounds.seed);
    if (!initial.empty()) {
      core::check(initial.size() == parameters.values.size(), Kind::usage, "an initial model of {} values, expected {}", initial.size(), parameters.values.size());
    }
    std::unique_ptr<Strategy> strategy = make_strategy(options.strategy, model.layout());
    // What does not travel begins as at the clients, who know the layout alone.
    if (const auto exchanged = strategy->exchanged(); exchanged && !initial.empty())
      exchanged->put(exchanged->pick(initial), parameters.values);
    else if (!initial.empty())
      parameters.values.assign(initial.begin(), initial.end());
    stays_home_ = strategy->exchanged() ? parameters.values.size() - strategy->exchanged()->values() : 0;
    server_ = std::make_unique<Server>(options.rounds, std::move(strategy), std::move(parameters.values), population);
  }

  RunResult run(const Journal* resumed) {
    if (resumed)
      resume(*resumed);
    else
      handle(server_->start(timeline_.now()));
    while (!server_->finished()) {
      do {
        on(timeline_.wait());
      } while (!server_->finished() && timeline_.more());
      if (server_->finished()) break;
      write_journal_if_due();
      handle(server_->settle(timeline_.now()));
    }
    result_.model = *server_->model();
    result_.at = timeline_.now();
    result_.traffic = traffic_;
    return std::move(result_);
  }

 private:
  void resume(const Journal& journal) {
    for (const auto& [name, values] : server_->strategy().state()) {
      const auto kept = journal.strategy.find(name);
      core::check(kept != journal.strategy.end() && (values->empty() || kept->second.size() == values->size()), Kind::malformed,
                  "journal: the strategy's {} is missing or has another size than {}", name, values->size());
      *values = kept->second;
    }
    traffic_ = journal.traffic;
    result_.rounds = journal.server.round - 1;
    timeline_.resume(journal.now, journal.due);
    resuming_ = true;  // the tasks under way were counted when they were assigned
    handle(server_->restore(journal.server, journal.now));
    resuming_ = false;
    handle(server_->settle(journal.now));
  }

  void write_journal_if_due() {
    if (options_.journal.empty() || !round_done_) return;
    std::optional<ServerSnapshot> snapshot = server_->snapshot();
    if (!snapshot) return;
    round_done_ = false;
    Journal journal;
    TaskId oldest = snapshot->next_task;
    for (const auto& task : snapshot->tasks) oldest = std::min(oldest, task.task);
    journal.run = options_.id;
    journal.server = std::move(*snapshot);
    for (const auto& [name, values] : server_->strategy().state()) journal.strategy[name] = *values;
    journal.now = timeline_.now();
    journal.due = timeline_.due();
    journal.traffic = traffic_;
    // In this order: what the journal speaks of must be there before it is.
    try {
      workplace_.settle(oldest);
    } catch (const core::Error& error) {
      if (!timeline_.real() || error.kind() != Kind::unreachable) throw;
    }
    if (hooks_.keep) journal.kept = hooks_.keep();
    core::crash_point("journal");
    write_journal(options_.journal, journal);
  }

  void handle(const Actions& actions) {
    for (const Action& action : actions) std::visit([this](const auto& a) { on(a); }, action);
  }

  void on(Event event) {
    switch (event.what) {
      case Event::What::timer: return handle(server_->timer(event.id, timeline_.now()));
      case Event::What::failed: return handle(server_->failed(event.id, event.failure, timeline_.now()));
      case Event::What::done:
        count_reply(traffic_, event.reply.model.size() - std::min(event.reply.model.size(), stays_home_), event.reply.control.size());
        return handle(server_->reply(std::move(event.reply), timeline_.now()));
    }
  }
  void on(const Assign& a) {
    if (!resuming_) count_task(traffic_, a.model->size() - stays_home_, a.control ? a.control->size() : 0);
    timeline_.begin(a);
  }
  void on(const Commit& c) { workplace_.commit(c); }
  void on(const Release& r) {
    timeline_.release(r.task);
    workplace_.release(r.task);
  }
  void on(const SetTimer& t) { timeline_.timer(t); }
  void on(const Finished& f) {
    result_.completed = f.completed;
    result_.why = f.why;
  }
  void on(const RoundDone& done) {
    core::crash_point("aggregation");
    RoundResult round{done.record, timeline_.now(), false, 0, 0, traffic_};
    if (done.record.round % options_.evaluate_every == 0 || done.record.round == options_.rounds.rounds) {
      const auto e = evaluator_.evaluate(*done.model, test_);
      round.evaluated = true;
      round.test_loss = e.loss;
      round.test_accuracy = e.accuracy;
    }
    round_done_ = true;
    result_.rounds = done.record.round;
    if (hooks_.on_round) hooks_.on_round(round);
  }

  const Examples& test_;
  const RunOptions& options_;
  Workplace& workplace_;
  Timeline& timeline_;
  const RunHooks& hooks_;
  core::Pool pool_;
  LocalTrainer evaluator_;
  std::unique_ptr<Server> server_;
  RunResult result_;
  Traffic traffic_;
  std::size_t stays_home_ = 0;  // values of the model that do not travel
  bool round_done_ = false, resuming_ = false;
};

}  // namespace

RunResult run(const core::TrainableModel& model, const Examples& test, const RunOptions& options, const Population& population, Workplace& workplace,
              Timeline& timeline, const RunHooks& hooks, const Journal* resumed, std::span<const float> initial) {
  return Run(model, test, options, population, workplace, timeline, hooks, initial).run(resumed);
}

}  // namespace starling::federated

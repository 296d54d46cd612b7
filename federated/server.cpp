#include "federated/server.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/random_stream.h"
#include "federated/guard.h"

namespace starling::federated {

using core::Kind;

namespace {

void check_policy(bool ok, const char* setting, double value, const char* expected) {
  core::check(ok, Kind::usage, "rounds_policy: {} = {}, expected {}", setting, value, expected);
}

}  // namespace

Server::Server(const RoundsPolicy& policy, std::unique_ptr<Strategy> strategy, std::vector<float> model, const Population& population)
    : policy_(policy), strategy_(std::move(strategy)), model_(std::make_shared<const std::vector<float>>(std::move(model))), population_(population) {
  const RoundsPolicy& p = policy_;
  check_policy(p.rounds > 0, "rounds", static_cast<double>(p.rounds), "at least 1");
  check_policy(p.fraction > 0 && p.fraction <= 1, "fraction", p.fraction, "above 0, at most 1");
  check_policy(p.min_clients > 0, "min_clients", static_cast<double>(p.min_clients), "at least 1");
  check_policy(p.over_select >= 1, "over_select", p.over_select, "at least 1");
  check_policy(p.deadline >= 0, "deadline_s", p.deadline, "not negative");
  check_policy(p.quorum > 0 && p.quorum <= 1, "quorum", p.quorum, "above 0, at most 1");
  check_policy(p.min_replies > 0, "min_replies", static_cast<double>(p.min_replies), "at least 1");
  check_policy(!p.asynchronous || p.concurrency > 0, "concurrency", static_cast<double>(p.concurrency), "at least 1");
  check_policy(population.size() >= p.min_clients, "min_clients", static_cast<double>(p.min_clients), "at most the number of clients");
}

std::size_t Server::versions_alive() const {
  std::set<const void*> models{model_.get()};
  for (const auto& [id, task] : tasks_) models.insert(task.model.get());
  return models.size();
}

/// Uniform, without replacement, among those who are available and have no task.
std::vector<std::int64_t> Server::sample(std::int64_t count, Seconds now, std::uint64_t draw) {
  constexpr std::int64_t kListed = 10'000;  // up to so many clients everybody is looked at
  core::RandomStream random(policy_.seed, core::Purpose::clients, {static_cast<std::uint64_t>(round_), 0, draw});
  const auto free = [&](std::int64_t client) { return busy_.count(client) == 0 && population_.available(client, now); };
  std::vector<std::int64_t> chosen;
  if (population_.size() <= kListed) {
    std::vector<std::int64_t> all;
    for (std::int64_t client = 0; client < population_.size(); ++client)
      if (free(client)) all.push_back(client);
    for (std::size_t i = 0; i < all.size() && static_cast<std::int64_t>(i) < count; ++i) std::swap(all[i], all[i + random.below(all.size() - i)]);
    all.resize(std::min(all.size(), static_cast<std::size_t>(count)));
    return all;
  }
  std::unordered_set<std::int64_t> seen;
  seen.reserve(static_cast<std::size_t>(count));
  chosen.reserve(static_cast<std::size_t>(count));
  for (std::int64_t tries = 100 * count + 1000; tries > 0 && static_cast<std::int64_t>(chosen.size()) < count; --tries) {
    const auto client = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(population_.size())));
    if (seen.insert(client).second && free(client)) chosen.push_back(client);
  }
  return chosen;
}

void Server::assign(const std::vector<std::int64_t>& clients, Actions& actions) {
  const std::span<const float> control = strategy_->control();
  const Vector shared = control.empty() ? nullptr : std::make_shared<const std::vector<float>>(control.begin(), control.end());
  const LocalWork work = strategy_->local_work();
  const std::shared_ptr<const Exchanged> exchanged = strategy_->exchanged();
  actions.reserve(actions.size() + clients.size() + 1);
  for (const std::int64_t client : clients) {
    const TaskId id = next_task_++;
    tasks_.emplace_hint(tasks_.end(), id, Task{client, round_, model_, shared});
    busy_.insert(client);
    actions.emplace_back(Assign{id, client, round_, model_, shared, work, exchanged});
  }
  record_.asked += static_cast<std::int64_t>(clients.size());
}

void Server::begin_round(Seconds now, Actions& actions) {
  const auto share = static_cast<std::int64_t>(policy_.fraction * static_cast<double>(population_.size()));
  wanted_ = policy_.asynchronous ? policy_.concurrency : std::max(share, policy_.min_clients);
  const auto asked = policy_.asynchronous ? wanted_ : static_cast<std::int64_t>(std::ceil(policy_.over_select * static_cast<double>(wanted_)));
  const std::vector<std::int64_t> clients = sample(asked, now, 0);
  if (static_cast<std::int64_t>(clients.size()) < policy_.min_clients) {
    const std::optional<Seconds> next = population_.next_change(now);
    if (!next) return give_up(fmt::format("round {}: {} clients are available and no more will be, min_clients is {}", round_, clients.size(), policy_.min_clients), actions);
    wait_timer_ = next_timer_++;
    actions.push_back(SetTimer{wait_timer_, *next});
    return;
  }
  wait_timer_ = 0;
  wanted_ = std::min(wanted_, static_cast<std::int64_t>(clients.size()));
  in_round_ = true;
  draws_ = 1;
  record_ = {};
  record_.round = round_;
  record_.began = now;
  loss_weight_ = 0;
  strategy_->begin(*model_);
  assign(clients, actions);
  if (policy_.deadline > 0 && !policy_.asynchronous) {
    round_timer_ = next_timer_++;
    actions.push_back(SetTimer{round_timer_, now + policy_.deadline});
  }
}

Actions Server::start(Seconds now) {
  Actions actions;
  round_ = 1;
  begin_round(now, actions);
  return actions;
}

Actions Server::reply(TaskReply reply, Seconds now) {
  Actions actions;
  const auto found = tasks_.find(reply.task);
  if (finished_ || found == tasks_.end()) {
    // Twice, or of a round that is over, which has counted it as late.
    ++record_.refused["task"];
    actions.push_back(Release{reply.task, reply.client});
    return actions;
  }
  const auto ended = tasks_.extract(found);
  const Task& task = ended.mapped();
  busy_.erase(task.client);
  std::string why = guard(reply, task.client, *task.model, policy_);
  if (why.empty()) {
    Reply r;
    r.client = reply.client;
    r.examples = reply.examples;
    r.steps = reply.steps;
    r.normaliser = reply.normaliser;
    r.loss_at_start = reply.loss_at_start;
    r.model = reply.model;
    r.control = reply.control;
    r.staleness = round_ - task.round;
    if (r.staleness > 0) r.start = *task.model;
    try {
      strategy_->add(r);
    } catch (const core::Error& error) {
      if (error.kind() != Kind::malformed) throw;
      why = "strategy";
    }
  }
  if (!why.empty()) {
    ++record_.refused[why];
    actions.push_back(Release{reply.task, task.client});
  } else {
    ++record_.used;
    loss_weight_ += reply.examples;
    record_.train_loss += (reply.loss - record_.train_loss) * reply.examples / loss_weight_;
    actions.push_back(Commit{reply.task, task.client});
  }
  if (policy_.asynchronous) {
    std::vector<float> next = *model_;
    const Outcome outcome = strategy_->finish(next);
    if (outcome.changed) move_on(outcome, std::move(next), now, actions);
    return actions;
  }
  const auto enough = static_cast<std::int64_t>(std::ceil(policy_.quorum * static_cast<double>(wanted_)));
  if (record_.used >= enough || tasks_.empty()) end_round(now, actions);
  return actions;
}

Actions Server::failed(TaskId id, const std::string&, Seconds now) {
  Actions actions;
  const auto found = tasks_.find(id);
  if (finished_ || found == tasks_.end()) return actions;
  busy_.erase(found->second.client);
  tasks_.erase(found);
  ++record_.failed;
  if (!policy_.asynchronous && tasks_.empty()) end_round(now, actions);
  return actions;
}

Actions Server::timer(std::int64_t timer, Seconds now) {
  Actions actions;
  if (finished_) return actions;
  if (timer == wait_timer_) {
    if (in_round_)
      wait_timer_ = 0;  // settle() draws again
    else
      begin_round(now, actions);
  } else if (timer == round_timer_ && in_round_) {
    end_round(now, actions);
  }
  return actions;
}

void Server::end_round(Seconds now, Actions& actions) {
  for (const auto& [id, task] : tasks_) actions.push_back(Release{id, task.client});
  record_.late += static_cast<std::int64_t>(tasks_.size());
  tasks_.clear();
  busy_.clear();
  std::vector<float> next = *model_;
  Outcome outcome{false, fmt::format("{} replies, min_replies is {}", record_.used, policy_.min_replies), {}};
  if (record_.used >= policy_.min_replies) outcome = strategy_->finish(next);
  move_on(outcome, std::move(next), now, actions);
}

void Server::move_on(const Outcome& outcome, std::vector<float> model, Seconds now, Actions& actions) {
  record_.ended = now;
  record_.changed = outcome.changed;
  record_.why = outcome.why;
  record_.metrics = outcome.metrics;
  failed_rounds_ = outcome.changed ? 0 : failed_rounds_ + 1;
  if (outcome.changed) model_ = std::make_shared<const std::vector<float>>(std::move(model));
  actions.push_back(RoundDone{record_, model_});
  in_round_ = policy_.asynchronous;
  if (failed_rounds_ >= policy_.max_failed_rounds)
    return give_up(fmt::format("{} rounds in a row failed, the last because of: {}", failed_rounds_, record_.why), actions);
  if (round_ >= policy_.rounds) {
    for (const auto& [id, task] : tasks_) actions.push_back(Release{id, task.client});
    tasks_.clear();
    busy_.clear();
    finished_ = true;
    actions.push_back(Finished{true, ""});
    return;
  }
  ++round_;
  if (!policy_.asynchronous) return;
  draws_ = 0;
  record_ = {};
  record_.round = round_;
  record_.began = now;
  loss_weight_ = 0;
}

void Server::give_up(const std::string& why, Actions& actions) {
  finished_ = true;
  actions.push_back(Finished{false, why});
}

std::optional<ServerSnapshot> Server::snapshot() const {
  const RoundRecord& r = record_;
  const bool between = policy_.asynchronous ? in_round_ && r.asked == 0 && r.used == 0 && r.failed == 0 && r.refused.empty() : !in_round_ && tasks_.empty();
  if (finished_ || round_ == 0 || wait_timer_ != 0 || !between) return std::nullopt;
  ServerSnapshot s{round_, next_task_, next_timer_, failed_rounds_, model_, {}};
  for (const auto& [id, task] : tasks_) s.tasks.push_back({id, task.client, task.round, task.model, task.control});
  return s;
}

Actions Server::restore(const ServerSnapshot& s, Seconds now) {
  core::check(s.model && s.model->size() == model_->size() && s.round > 0 && s.round <= policy_.rounds, Kind::malformed,
              "journal: round {} of {} with a model of {} values, expected {}", s.round, policy_.rounds, s.model ? s.model->size() : 0, model_->size());
  Actions actions;
  round_ = s.round;
  next_task_ = s.next_task;
  next_timer_ = s.next_timer;
  failed_rounds_ = s.failed_rounds;
  model_ = s.model;
  in_round_ = policy_.asynchronous;
  record_ = {};
  record_.round = round_;
  record_.began = now;
  if (policy_.asynchronous) {
    wanted_ = policy_.concurrency;
    strategy_->begin(*model_);
  }
  for (const ServerSnapshot::Task& task : s.tasks) {
    core::check(task.model && task.model->size() == model_->size() && task.client >= 0 && task.client < population_.size(), Kind::malformed,
                "journal: task {} of client {} with a model of {} values, expected {}", task.task, task.client, task.model ? task.model->size() : 0, model_->size());
    tasks_.emplace(task.task, Task{task.client, task.round, task.model, task.control});
    busy_.insert(task.client);
    actions.push_back(Assign{task.task, task.client, task.round, task.model, task.control, strategy_->local_work(), strategy_->exchanged()});
  }
  return actions;
}

Actions Server::settle(Seconds now) {
  Actions actions;
  if (finished_ || round_ == 0 || wait_timer_ != 0) return actions;
  if (!in_round_) {
    begin_round(now, actions);
  } else if (policy_.asynchronous) {
    const std::int64_t open = policy_.concurrency - static_cast<std::int64_t>(tasks_.size());
    if (open <= 0) return actions;
    assign(sample(open, now, draws_++), actions);
    if (!tasks_.empty()) return actions;
    const std::optional<Seconds> next = population_.next_change(now);
    if (!next) {
      give_up(fmt::format("round {}: nobody is available and nobody will be", round_), actions);
      return actions;
    }
    wait_timer_ = next_timer_++;
    actions.push_back(SetTimer{wait_timer_, *next});
  }
  return actions;
}

}  // namespace starling::federated

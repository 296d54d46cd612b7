#include "federated/remote_workplace.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "comm/job.h"
#include "core/error.h"
#include "federated/value_frames.h"

namespace starling::federated {

using core::check;
using core::Kind;

namespace {

constexpr auto kLook = std::chrono::milliseconds(250);  // how often a waiting thread looks whether the run was given up
constexpr std::uint64_t kMessageMax = 64 << 10;

/// Makes a whole model of what came, with the values that stay home as they were; of another number of values none, which
/// is the guard's to refuse.
void complete(const Exchanged& exchanged, const std::vector<float>& start, std::vector<float>& values) {
  if (values.size() != exchanged.values()) return values.clear();
  std::vector<float> whole = start;
  exchanged.put(values, whole);
  values = std::move(whole);
}

}  // namespace

RemoteWorkplace::RemoteWorkplace(std::vector<ClientNode> nodes, ClientJob job) {
  check(!nodes.empty(), Kind::usage, "federated training needs a node at least");
  job.nodes = static_cast<std::uint32_t>(nodes.size());
  for (const ClientNode& node : nodes) {
    Link& link = links_.emplace_back();
    link.node = node;
    link.values = job.values;
    link.number = static_cast<std::uint32_t>(links_.size() - 1);
    if_there(link, [&] { start_job(link, job); });
  }
  job_ = std::move(job);
  for (Link& link : links_)
    if (link.dead.empty()) if_there(link, [&] { link.ready = receive_ready(link); });
  for (Link& link : links_) link.thread = std::jthread([this, &link] { serve(link); });
}

void RemoteWorkplace::start_job(Link& link, ClientJob job) {
  job.node = link.number;
  link.node.transport->send(link.node.rank, comm::Kind::job, comm::encode_job({std::string(kClientService), encode(job)}), comm::kNoDeadline);
}

ClientReady RemoteWorkplace::receive_ready(Link& link) {
  return decode_client_ready(read(link, answer(link, comm::Kind::ready)), link.node.transport->name(link.node.rank));
}

void RemoteWorkplace::if_there(Link& link, const std::function<void()>& step) {
  try {
    step();
  } catch (const core::Error& error) {
    if (!link.node.reconnect || error.kind() != Kind::unreachable) throw;
    link.dead = error.what();
  }
}

RemoteWorkplace::~RemoteWorkplace() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

std::vector<std::uint64_t> RemoteWorkplace::own_examples() const {
  std::vector<std::uint64_t> own;
  for (const Link& link : links_) own.push_back(link.ready.own_examples);
  return own;
}

bool RemoteWorkplace::reachable(std::int64_t client) const {
  const std::lock_guard lock(mutex_);
  return link_of(client).dead.empty();
}

void RemoteWorkplace::begin(const Assign& task, Seconds due) {
  {
    const std::lock_guard lock(mutex_);
    Link& link = link_of(task.client);
    Entry& entry = tasks_.emplace(task.task, Entry{task, due, Stage::waiting, {}}).first->second;
    if (link.dead.empty()) {
      link.waiting.emplace(due, task.task);
    } else {
      entry.stage = Stage::done;
      entry.result = {task.task, link.dead, true, false, {}};
      done_.push_back(task.task);
    }
  }
  changed_.notify_all();
}

Trained RemoteWorkplace::take(TaskId id) {
  const auto found = tasks_.find(id);
  Trained result = std::move(found->second.result);
  if (result.stateful) judged_later_[id] = found->second.task.client;
  std::erase(done_, id);
  tasks_.erase(found);
  return result;
}

Trained RemoteWorkplace::finish(TaskId id) {
  std::unique_lock lock(mutex_);
  core::ensure(tasks_.count(id) > 0, "a task that has begun");
  changed_.wait(lock, [&] { return tasks_.at(id).stage == Stage::done; });
  return take(id);
}

std::optional<Trained> RemoteWorkplace::next(Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return !done_.empty(); };
  if (deadline == Clock::time_point::max())
    changed_.wait(lock, ready);
  else if (!changed_.wait_until(lock, deadline, ready))
    return std::nullopt;
  return take(done_.front());
}

void RemoteWorkplace::commit(const Commit& task) {
  {
    const std::lock_guard lock(mutex_);
    if (judged_later_.erase(task.task) == 0) return;
    Link& link = link_of(task.client);
    link.verdicts.push_back({task.task, task.client, true});
    link.unsettled = true;
  }
  changed_.notify_all();
}

void RemoteWorkplace::release(TaskId id) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto judged = judged_later_.find(id); judged != judged_later_.end()) {
      link_of(judged->second).verdicts.push_back({id, judged->second, false});
      judged_later_.erase(judged);
    }
    const auto found = tasks_.find(id);
    if (found == tasks_.end()) return;
    Entry& entry = found->second;
    if (entry.stage == Stage::sent) {
      entry.stage = Stage::released;
      return;
    }
    Link& link = link_of(entry.task.client);
    if (entry.result.stateful) link.verdicts.push_back({id, entry.task.client, false});
    link.waiting.erase({entry.due, id});
    std::erase(done_, id);
    tasks_.erase(found);
  }
  changed_.notify_all();
}

void RemoteWorkplace::settle(TaskId oldest) {
  std::unique_lock lock(mutex_);
  std::vector<const Link*> asked;
  for (Link& link : links_) {
    if (!std::exchange(link.unsettled, false)) continue;
    link.settle = oldest;
    asked.push_back(&link);
  }
  changed_.notify_all();
  changed_.wait(lock, [&] { return std::all_of(asked.begin(), asked.end(), [](const Link* l) { return !l->settle || !l->dead.empty(); }); });
  for (const Link* link : asked) check(!link->settle, Kind::unreachable, "{}", link->dead);
}

std::vector<ClientReport> RemoteWorkplace::close() {
  std::vector<ClientReport> reports;
  std::unique_lock lock(mutex_);
  for (Link& link : links_) link.leaving = true;
  changed_.notify_all();
  changed_.wait(lock, [&] { return std::all_of(links_.begin(), links_.end(), [](const Link& l) { return l.left || !l.dead.empty(); }); });
  for (const Link& link : links_) reports.push_back(link.report);
  return reports;
}

comm::Incoming RemoteWorkplace::answer(Link& link, comm::Kind expected) {
  comm::Transport& transport = *link.node.transport;
  while (true) {
    try {
      const comm::Incoming incoming = transport.next(link.node.rank, comm::after(kLook));
      check(incoming.kind == expected, Kind::malformed, "{}: sent a {} frame where a {} was expected", transport.name(link.node.rank),
            comm::to_string(incoming.kind), comm::to_string(expected));
      return incoming;
    } catch (const core::Error& error) {
      if (error.kind() != Kind::timeout) throw;
      const std::lock_guard lock(mutex_);
      if (stopping_) throw;
    }
  }
}

std::vector<std::byte> RemoteWorkplace::read(Link& link, const comm::Incoming& incoming) {
  comm::Transport& transport = *link.node.transport;
  check(incoming.length <= kMessageMax, Kind::malformed, "{}: a {} message of {} bytes, at most {}", transport.name(link.node.rank),
        comm::to_string(incoming.kind), incoming.length, kMessageMax);
  std::vector<std::byte> bytes(incoming.length);
  transport.read(link.node.rank, bytes, comm::kNoDeadline);
  return bytes;
}

void RemoteWorkplace::serve(Link& link) {
  if (!link.dead.empty() && !revive(link)) return;
  do {
    try {
      while (turn(link)) {
      }
      return;
    } catch (const std::exception& error) {
      lose(link, error.what());
    }
  } while (revive(link));
}

bool RemoteWorkplace::revive(Link& link) {
  constexpr auto kAgain = std::chrono::milliseconds(500);
  while (link.node.reconnect) {
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, kAgain, [&] { return stopping_ || link.leaving; })) return false;
    }
    try {
      link.node.transport = link.node.reconnect();
      // What its clients keep is all of this life.
      ClientJob job = job_;
      job.first_task = static_cast<std::uint64_t>(std::numeric_limits<TaskId>::max());
      start_job(link, job);
      const ClientReady ready = receive_ready(link);
      const std::lock_guard lock(mutex_);
      link.ready = ready;
      link.model = link.control = nullptr;
      link.verdicts.clear();
      link.settle.reset();
      link.unsettled = false;
      link.dead.clear();
      return true;
    } catch (const core::Error&) {
      // It is not there yet.
    }
  }
  return false;
}

bool RemoteWorkplace::turn(Link& link) {
  comm::Transport& transport = *link.node.transport;
  const comm::Rank rank = link.node.rank;
  std::vector<Verdict> verdicts;
  std::optional<TaskId> settle;
  std::vector<TaskId> batch;
  bool leaving = false;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopping_ || link.leaving || link.settle || !link.verdicts.empty() || !link.waiting.empty(); });
    if (stopping_) return false;
    verdicts.swap(link.verdicts);
    settle = link.settle;
    // Tasks of one batch share a model: the node holds one at a time.
    const Entry* first = link.waiting.empty() ? nullptr : &tasks_.at(link.waiting.begin()->second);
    for (auto next = link.waiting.begin(); !settle && next != link.waiting.end() && batch.size() < link.ready.threads;) {
      Entry& entry = tasks_.at(next->second);
      if (entry.task.model != first->task.model || entry.task.control != first->task.control) {
        ++next;
        continue;
      }
      entry.stage = Stage::sent;
      batch.push_back(next->second);
      next = link.waiting.erase(next);
    }
    leaving = link.leaving && batch.empty() && !settle;
  }
  for (const Verdict& verdict : verdicts) transport.send(rank, comm::Kind::verdict, encode(verdict), comm::kNoDeadline);
  if (settle) {
    transport.send(rank, comm::Kind::settle, encode_settle(*settle), comm::kNoDeadline);
    answer(link, comm::Kind::settled);
    transport.read(rank, {}, comm::kNoDeadline);
    const std::lock_guard lock(mutex_);
    link.settle.reset();
    changed_.notify_all();
  }
  if (!batch.empty()) exchange(link, batch);
  if (!leaving) return true;
  transport.send(rank, comm::Kind::finish, {}, comm::kNoDeadline);
  const ClientReport report = decode_client_report(read(link, answer(link, comm::Kind::report)), transport.name(rank));
  const std::lock_guard lock(mutex_);
  link.report = report;
  link.left = true;
  changed_.notify_all();
  return false;
}

void RemoteWorkplace::exchange(Link& link, const std::vector<TaskId>& batch) {
  comm::Transport& transport = *link.node.transport;
  const comm::Rank rank = link.node.rank;
  Vector model;
  std::shared_ptr<const Exchanged> exchanged;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    Assign task;
    {
      const std::lock_guard lock(mutex_);
      task = tasks_.at(batch[i]).task;
    }
    model = task.model;
    exchanged = task.exchanged;
    const bool fresh = !link.node.shares_models || task.model != link.model || task.control != link.control;
    transport.send(rank, comm::Kind::task, encode(TaskMessage{task.task, task.client, task.round, task.work, fresh, i + 1 < batch.size()}), comm::kNoDeadline);
    if (!fresh) continue;
    if (task.exchanged)
      send_values(transport, rank, task.exchanged->pick(*task.model));
    else
      send_values(transport, rank, *task.model);
    if (task.control) send_values(transport, rank, *task.control);
    link.model = task.model;
    link.control = task.control;
  }
  for (const TaskId id : batch) {
    ReplyMessage message = decode_reply(read(link, answer(link, comm::Kind::reply)), transport.name(rank));
    check(message.reply.task == id, Kind::malformed, "{}: task: a reply to {}, expected {}", transport.name(rank), message.reply.task, id);
    // A wrong number of values is the guard's to refuse; more than two models is nobody's to take.
    check(message.values <= 2 * link.values && message.control_values <= 2 * link.values, Kind::malformed, "{}: values: {} and {}, the model has {}",
          transport.name(rank), message.values, message.control_values, link.values);
    Trained result{id, std::move(message.failure), false, message.stateful, std::move(message.reply)};
    result.reply.model = receive_values(transport, rank, message.values);
    if (exchanged) complete(*exchanged, *model, result.reply.model);
    result.reply.control = receive_values(transport, rank, message.control_values);
    deliver(link, std::move(result));
  }
}

void RemoteWorkplace::deliver(Link& link, Trained&& result) {
  const std::lock_guard lock(mutex_);
  const auto found = tasks_.find(result.task);
  if (found->second.stage == Stage::released) {
    if (result.stateful) link.verdicts.push_back({result.task, found->second.task.client, false});
    tasks_.erase(found);
    return;
  }
  found->second.stage = Stage::done;
  done_.push_back(result.task);
  found->second.result = std::move(result);
  changed_.notify_all();
}

void RemoteWorkplace::lose(Link& link, const std::string& why) {
  const std::lock_guard lock(mutex_);
  link.dead = why;
  link.waiting.clear();
  for (auto entry = tasks_.begin(); entry != tasks_.end();) {
    const bool here = &link_of(entry->second.task.client) == &link;
    const Stage stage = entry->second.stage;
    if (here && stage == Stage::released) {
      entry = tasks_.erase(entry);
      continue;
    }
    if (here && stage != Stage::done) {
      entry->second.stage = Stage::done;
      entry->second.result = {entry->first, why, true, false, {}};
      done_.push_back(entry->first);
    }
    ++entry;
  }
  changed_.notify_all();
}

}  // namespace starling::federated

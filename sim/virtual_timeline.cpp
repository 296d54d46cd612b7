#include "sim/virtual_timeline.h"

#include <algorithm>

#include "core/error.h"

namespace starling::sim {

using federated::Event;

void VirtualTimeline::begin(const federated::Assign& a) {
  const std::int64_t examples = count_(a.client);
  const std::int64_t batch = local_.batch > 0 ? std::min(local_.batch, examples) : examples;
  const double model = static_cast<double>(a.exchanged ? a.exchanged->values() : a.model->size()) * sizeof(float);
  const std::int64_t steps = local_.steps > 0 ? local_.steps : local_.epochs_of(a.client) * ((examples + batch - 1) / batch);
  // SCAFFOLD's c travels down beside the model, the change of c_k up.
  const double control = a.work.control_variates ? static_cast<double>(a.model->size()) * sizeof(float) : 0;
  const Load load{steps, batch, model + control, model + control};
  const auto known = resumed_.find(a.task);
  federated::Due due;
  if (known != resumed_.end()) {
    due = known->second;
  } else {
    const Fate fate = devices_.task(a.client, a.round, load, now_);
    due = {now_ + fate.seconds, fate.fails};
  }
  const Task task{{due.at, next_++, false, a.task}, due.fails};
  events_.insert(task.end);
  tasks_.emplace(a.task, task);
  if (!task.fails) workplace_.begin(a, due.at);
}

void VirtualTimeline::release(federated::TaskId id) {
  const auto found = tasks_.find(id);
  if (found == tasks_.end()) return;
  events_.erase(found->second.end);
  tasks_.erase(found);
}

Event VirtualTimeline::wait() {
  core::ensure(!events_.empty(), "a run that waits for nothing");
  const Moment moment = *events_.begin();
  events_.erase(events_.begin());
  now_ = moment.at;
  Event event;
  event.id = moment.id;
  if (moment.timer) return event;
  const auto task = tasks_.find(moment.id);
  const bool fails = task->second.fails;
  tasks_.erase(task);
  event.what = Event::What::failed;
  if (fails) {
    event.failure = "the device failed";
    return event;
  }
  federated::Trained trained = workplace_.finish(moment.id);
  core::check(!trained.lost, core::Kind::unreachable, "{}", trained.failure);
  event.failure = std::move(trained.failure);
  if (!event.failure.empty()) return event;
  event.what = Event::What::done;
  event.reply = std::move(trained.reply);
  return event;
}

std::map<federated::TaskId, federated::Due> VirtualTimeline::due() const {
  std::map<federated::TaskId, federated::Due> due;
  for (const auto& [id, task] : tasks_) due[id] = {task.end.at, task.fails};
  return due;
}

void VirtualTimeline::resume(federated::Seconds now, const std::map<federated::TaskId, federated::Due>& due) {
  now_ = now;
  resumed_ = due;
}

}  // namespace starling::sim

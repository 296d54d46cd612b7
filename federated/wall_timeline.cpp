#include "federated/wall_timeline.h"

namespace starling::federated {

Event WallTimeline::wait() {
  auto deadline = Workplace::Clock::time_point::max();
  if (!timers_.empty())
    deadline = start_ + std::chrono::duration_cast<Workplace::Clock::duration>(std::chrono::duration<double>(timers_.begin()->first - before_));
  std::optional<Trained> trained = workplace_.next(deadline);
  Event event;
  if (!trained) {
    event.id = timers_.begin()->second;
    timers_.erase(timers_.begin());
    return event;
  }
  event.what = trained->failure.empty() ? Event::What::done : Event::What::failed;
  event.id = trained->task;
  event.failure = std::move(trained->failure);
  event.reply = std::move(trained->reply);
  return event;
}

}  // namespace starling::federated

#include "comm/heartbeat.h"

namespace starling::comm {

Heartbeat::Heartbeat(Transport& transport, Clock::duration every)
    : thread_([this, &transport, every] {
        std::unique_lock lock(mutex_);
        while (!condition_.wait_for(lock, every, [this] { return stopping_; })) transport.send_heartbeats();
      }) {}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  condition_.notify_all();
  thread_.join();
}

}  // namespace starling::comm

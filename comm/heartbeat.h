// Tells the peers that this rank lives while its owner thread computes. Without it a step longer than
// Limits::silence_max would look like a hung process; a stopped or dead process stops its heartbeats too.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "comm/transport.h"

namespace starling::comm {

/// A thread that calls transport.send_heartbeats() every `every` until this object ends. The transport must
/// outlive it.
class Heartbeat {
 public:
  explicit Heartbeat(Transport& transport, Clock::duration every = Limits{}.heartbeat_every);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace starling::comm

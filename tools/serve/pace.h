// Keeps who computes from running ahead of who writes: on few cores a scheduler may let a thread that computes step after
// step have its turn for many milliseconds, and clients then get nothing, and several tokens at once after it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

namespace starling::tools {

class Pace {
 public:
  /// `post` hands work to the thread that writes, which never waits for a client, behind all that was handed over before.
  using Post = std::function<void(std::function<void()>)>;
  explicit Pace(Post post, std::chrono::milliseconds patience = std::chrono::milliseconds(100)) : post_(std::move(post)), patience_(patience) {}

  /// The end of a step. Returns when what it gave is written, or after `patience`.
  void step_ended() {
    const std::uint64_t step = ++steps_;
    post_([state = state_, step] {
      const std::lock_guard lock(state->mutex);
      state->written = step;
      state->wake.notify_one();
    });
    std::unique_lock lock(state_->mutex);
    state_->wake.wait_for(lock, patience_, [&] { return state_->written >= step; });
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable wake;
    std::uint64_t written = 0;  // steps
  };

  Post post_;
  std::chrono::milliseconds patience_;
  std::uint64_t steps_ = 0;
  std::shared_ptr<State> state_ = std::make_shared<State>();  // work that was handed over may outlive this
};

}  // namespace starling::tools

#include "tools/serve/pace.h"

#include <atomic>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

namespace starling::tests {
namespace {

using namespace std::chrono_literals;
using tools::Pace;

TEST_CASE("a step ends when what it gave is written") {
  std::mutex mutex;
  std::condition_variable came;
  std::vector<std::function<void()>> handed;
  Pace pace([&](std::function<void()> work) {
    const std::lock_guard lock(mutex);
    handed.push_back(std::move(work));
    came.notify_one();
  }, 60s);
  std::atomic<int> written = 0;
  std::vector<int> seen;
  std::thread computes([&] {
    for (int step = 0; step < 3; ++step) {
      pace.step_ended();
      seen.push_back(written);
    }
  });
  for (int step = 0; step < 3; ++step) {
    std::unique_lock lock(mutex);
    came.wait(lock, [&] { return handed.size() == static_cast<std::size_t>(step) + 1; });
    written = step + 1;
    handed[static_cast<std::size_t>(step)]();
  }
  computes.join();
  CHECK(seen == std::vector<int>{1, 2, 3});
}

TEST_CASE("who writes nothing any more holds nobody up for ever") {
  Pace pace([](const std::function<void()>&) {}, 1ms);
  for (int i = 0; i < 5; ++i) pace.step_ended();
  // What was handed over may be done after all is over.
  std::function<void()> left;
  {
    Pace gone([&](std::function<void()> work) { left = std::move(work); }, 1ms);
    gone.step_ended();
  }
  left();
}

}  // namespace
}  // namespace starling::tests

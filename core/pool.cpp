// The worker pool: chunks of a job are claimed one by one from an atomic ticket, so that a thread which the
// system does not run delays nobody.
#include "core/pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace starling::core {
namespace {

constexpr int kChunksPerThread = 4;   // the claims that level out uneven threads
constexpr int kSpinRounds = 4096;     // some tens of microseconds: the time between two kernels of a token
constexpr int kRoundsPerYield = 128;  // lets a thread that needs this core have it
constexpr int kCrowdedRounds = 64;    // with more threads than cores every round gives way instead

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

struct Pool::State {
  // High half: number of the job; low half: chunks not yet claimed. A chunk is claimed by decrementing it,
  // and a claimed chunk keeps its job (the plain fields below) alive until it is finished.
  std::atomic<std::uint64_t> ticket{0};
  std::atomic<std::int64_t> finished{0};
  std::atomic<bool> failed{false};
  std::atomic<bool> stop{false};
  std::atomic<int> sleepers{0};
  std::atomic<bool> caller_sleeps{false};

  std::int64_t count = 0, chunk = 0, chunks = 0;
  const std::function<void(std::int64_t, std::int64_t)>* body = nullptr;

  std::mutex mutex;
  std::condition_variable work, done;
  std::exception_ptr error;  // under mutex
  int spin_rounds = 0, rounds_per_yield = kRoundsPerYield;
  std::vector<std::thread> workers;

  bool has_work() const { return (ticket.load() & 0xffffffffu) != 0; }

  bool claim(std::int64_t& index) {
    std::uint64_t seen = ticket.load();
    while ((seen & 0xffffffffu) != 0)
      if (ticket.compare_exchange_weak(seen, seen - 1)) {
        index = chunks - static_cast<std::int64_t>(seen & 0xffffffffu);
        return true;
      }
    return false;
  }

  void run_chunks() {
    std::int64_t index;
    while (claim(index)) {
      const std::int64_t total = chunks;
      if (!failed.load(std::memory_order_relaxed)) run(index);
      // After this increment the job may be gone: only the atomics and the mutex may be used.
      if (finished.fetch_add(1) + 1 == total && caller_sleeps.load()) {
        const std::lock_guard lock(mutex);
        done.notify_one();
      }
    }
  }

  void run(std::int64_t index) {
    try {
      (*body)(index * chunk, std::min(count, (index + 1) * chunk));
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      failed.store(true);
    }
  }

  template <class Ready>
  bool spin_until(const Ready& ready) const {
    for (int round = 0; round < spin_rounds; ++round) {
      if (ready()) return true;
      if (round % rounds_per_yield == rounds_per_yield - 1) std::this_thread::yield();
      relax();
    }
    return ready();
  }

  void work_until_stopped() {
    while (!stop.load()) {
      run_chunks();
      if (spin_until([this] { return has_work() || stop.load(); })) continue;
      std::unique_lock lock(mutex);
      ++sleepers;  // before the last look at the ticket, as the caller looks at sleepers after writing it
      work.wait(lock, [this] { return has_work() || stop.load(); });
      --sleepers;
    }
  }

  void wait_for_all() {
    const auto ready = [this] { return finished.load() == chunks; };
    if (spin_until(ready)) return;
    std::unique_lock lock(mutex);
    caller_sleeps.store(true);
    done.wait(lock, ready);
    caller_sleeps.store(false);
  }
};

Pool::Pool(int threads) : threads_(threads) {
  check(threads >= 1 && threads <= 1024, Kind::usage, "threads: {} is not in 1..1024", threads);
  if (threads == 1) return;
  state_ = std::make_unique<State>();
  const unsigned cores = std::thread::hardware_concurrency();
  const bool crowded = static_cast<unsigned>(threads) > cores;
  state_->spin_rounds = crowded ? kCrowdedRounds : kSpinRounds;
  state_->rounds_per_yield = crowded ? 1 : kRoundsPerYield;
  for (int i = 1; i < threads; ++i) state_->workers.emplace_back([s = state_.get()] { s->work_until_stopped(); });
}

Pool::~Pool() {
  if (!state_) return;
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop.store(true);
  }
  state_->work.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

void Pool::parallel_for(std::int64_t count, std::int64_t grain,
                        const std::function<void(std::int64_t, std::int64_t)>& body) {
  ensure(grain > 0, "parallel_for needs a positive grain");
  if (count <= 0) return;
  if (threads_ == 1 || count <= grain) return body(0, count);
  State& s = *state_;
  const std::int64_t grains = (count + grain - 1) / grain;
  const std::int64_t chunks_wanted = std::min<std::int64_t>(grains, std::int64_t{threads_} * kChunksPerThread);
  s.count = count;
  s.chunk = (grains + chunks_wanted - 1) / chunks_wanted * grain;
  s.chunks = (count + s.chunk - 1) / s.chunk;
  s.body = &body;
  s.finished.store(0);
  s.failed.store(false);
  s.error = nullptr;
  const std::uint64_t job = (s.ticket.load() >> 32) + 1;
  s.ticket.store(job << 32 | static_cast<std::uint64_t>(s.chunks));
  if (s.sleepers.load() > 0) {
    const std::lock_guard lock(s.mutex);
    s.work.notify_all();
  }
  s.run_chunks();
  s.wait_for_all();
  if (s.failed.load()) {
    const std::lock_guard lock(s.mutex);
    std::rethrow_exception(std::exchange(s.error, nullptr));
  }
}

}  // namespace starling::core

// A fixed set of worker threads for kernels. Threads split outputs, never a summed dimension, so that no
// result depends on how many there are.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace starling::core {

class Pool {
 public:
  /// `threads` counts the caller: 1 means that no thread is started. Kind::usage unless 1..1024.
  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return threads_; }

  /// Calls body(begin, end) over disjoint ranges that cover [0, count), each but the last a multiple of
  /// `grain` long, and returns when all are done. The first exception of a body is rethrown. Not
  /// re-entrant; one caller at a time.
  void parallel_for(std::int64_t count, std::int64_t grain,
                    const std::function<void(std::int64_t, std::int64_t)>& body);

 private:
  struct State;
  int threads_;
  std::unique_ptr<State> state_;
};

}  // namespace starling::core

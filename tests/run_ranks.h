// Runs one function as several ranks, each in a thread of its own, for every test of something distributed.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "comm/connect.h"

namespace starling::tests {

using comm::Rank;
using comm::Transport;

/// Element i: what rank i threw, or null.
using Failures = std::vector<std::exception_ptr>;

/// The text of a failure, or "" for none.
inline std::string text_of(const std::exception_ptr& failure) {
  if (!failure) return "";
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  }
}

/// Rank i runs fn(*transports[i]) and aborts the session when it ends by an exception. The transports live until
/// all ranks have ended.
inline Failures run_ranks_collect(std::vector<std::unique_ptr<Transport>>& transports,
                                  const std::function<void(Transport&)>& fn) {
  Failures failures(transports.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < transports.size(); ++i)
    threads.emplace_back([&, i] {
      try {
        fn(*transports[i]);
      } catch (...) {
        failures[i] = std::current_exception();
        comm::abort_session(*transports[i], {core::Kind::refused, text_of(failures[i])});
      }
    });
  for (std::thread& thread : threads) thread.join();
  return failures;
}

inline void check_no_failures(const Failures& failures) {
  for (std::size_t i = 0; i < failures.size(); ++i)
    if (failures[i]) FAIL_CHECK("rank ", i, " failed: ", text_of(failures[i]));
  for (const std::exception_ptr& failure : failures)
    if (failure) throw std::runtime_error("a rank failed");
}

/// fn(transport) on `n` ranks of this process. Every rank's exception is reported as a failed check; then the
/// test case ends. Assertions inside fn are fine (doctest's are thread-safe), but use CHECK there, not REQUIRE.
inline void run_ranks(Rank n, const std::function<void(Transport&)>& fn, const comm::Limits& limits = {}) {
  auto transports = comm::inproc_group(n, limits);
  check_no_failures(run_ranks_collect(transports, fn));
}

}  // namespace starling::tests

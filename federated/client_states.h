// What clients keep between their tasks (control variates, norm layers), versioned by the task that made it, so that a
// run that is resumed finds each client as it was. In memory, on disk when there are many, always on disk where a
// folder is given.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <vector>

#include "federated/local_training.h"

namespace starling::federated {

class ClientStates {
 public:
  /// Without a folder, states beyond `memory_max` bytes go to a temporary one. With a folder, what it holds is taken
  /// up, but for versions of task `first_task` and later: they belong to a life that ended before its round did.
  /// Kind::malformed for files that are none of ours.
  explicit ClientStates(std::filesystem::path folder = {}, std::int64_t first_task = 1, std::uint64_t memory_max = std::uint64_t{256} << 20);
  ~ClientStates();
  ClientStates(const ClientStates&) = delete;
  ClientStates& operator=(const ClientStates&) = delete;

  /// The state that a client has at the start of `task`: the newest of earlier tasks; empty where there is none.
  ClientState get(std::int64_t client, std::int64_t task) const;
  /// On disk when it returns, where a folder was given.
  void put(std::int64_t client, std::int64_t task, ClientState state);
  /// No task below this number will be asked for again: of older versions only the newest is kept.
  void forget_before(std::int64_t task);

  std::uint64_t memory_bytes() const { return memory_bytes_; }

 private:
  struct Version {
    std::int64_t task = 0;
    ClientState state;  // empty where it is on disk
  };
  std::filesystem::path file(std::int64_t client, std::int64_t task) const;
  void write(std::int64_t client, std::int64_t task, const ClientState& state) const;
  void spill();

  std::filesystem::path folder_;
  bool temporary_ = false;
  std::uint64_t memory_max_, memory_bytes_ = 0;
  std::int64_t oldest_ = 0;
  mutable std::mutex mutex_;
  std::map<std::int64_t, std::vector<Version>> versions_;  // by client, ascending
};

}  // namespace starling::federated

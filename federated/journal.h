// What a run needs to go on after its process was killed: one file, replaced as a whole after every round.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "federated/server.h"
#include "federated/traffic.h"

namespace starling::federated {

/// When a task ends, and how, where that is known before.
struct Due {
  Seconds at = 0;
  bool fails = false;
  friend bool operator==(const Due&, const Due&) = default;
};

struct Journal {
  std::uint64_t run = 0;          // tells this run's kept client states from others'
  ServerSnapshot server;
  std::map<std::string, std::vector<float>> strategy;  // Strategy::state()
  Seconds now = 0;
  std::map<TaskId, Due> due;  // of the tasks under way
  Traffic traffic;
  std::uint64_t kept = 0;         // what RunHooks::keep said
};

/// Atomically, and on disk when it returns.
void write_journal(const std::filesystem::path& file, const Journal& journal);
/// Kind::malformed naming the file and what is wrong with it; Kind::missing.
Journal read_journal(const std::filesystem::path& file);

}  // namespace starling::federated

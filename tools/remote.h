// Nodes on the hosts of a file, started and stopped by small shell scripts over ssh.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tools/hosts.h"

namespace starling::tools {

struct RemoteResult {
  std::string name, uri, where;  // where: the ssh destination, or "this machine"
  bool ok = false;
  std::string detail;            // one line: "started (pid 12)", "not running", or why not
};

struct RemoteOptions {
  bool insecure = false;  // passed on to the nodes
  std::chrono::seconds patience{30};  // per host
};

/// All hosts at once; results in the order of the file. A node runs in a session of its own, its pid and log in
/// ~/.local/state/starling over there, and counts as started once it has announced its address.
std::vector<RemoteResult> start_nodes(const std::vector<Host>& hosts, const RemoteOptions& options);
std::vector<RemoteResult> stop_nodes(const std::vector<Host>& hosts, const RemoteOptions& options);

}  // namespace starling::tools

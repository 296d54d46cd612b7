// The "client" service of a node: it trains the tasks that a server sends, for the clients that live on it. A session
// is one run; what clients keep from task to task is the node's own.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "comm/transport.h"
#include "federated/client_messages.h"
#include "federated/workplace.h"

namespace starling::federated {

/// What a node makes of a job.
class ClientSide {
 public:
  virtual ~ClientSide() = default;
  virtual const core::TrainableModel& model() const = 0;
  virtual const ClientData& data() const = 0;
  virtual const LocalOptions& local() const = 0;
  /// Examples of the node's own data; 0 where it holds its part of everybody's.
  virtual std::uint64_t own_examples() const = 0;
};

struct ClientServiceOptions {
  int threads = 1;
  std::filesystem::path states;  // where clients' states are kept, a folder for each run; empty: in memory
  std::function<std::unique_ptr<ClientSide>(const ClientJob&)> make;
};

void serve_clients(comm::Transport& transport, core::Bytes settings, const ClientServiceOptions& options);

}  // namespace starling::federated

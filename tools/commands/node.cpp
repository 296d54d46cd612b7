// `starling node`: one device's runtime. It waits for a master, serves its jobs, frees everything and waits
// for the next one.
#include <malloc.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "comm/connect.h"
#include "comm/job.h"
#include "tools/command.h"
#include "tools/confine.h"
#include "tools/measure.h"
#include "tools/process.h"
#include "tools/self.h"
#include "tools/services.h"
#include "tools/sizes.h"

namespace starling::tools {
namespace {

struct NodeOptions {
  std::string listen = "tcp://127.0.0.1:7070";
  std::string name;
  std::string memory, data, states;
  int threads = 0;
  bool insecure = false;
  bool json = false;
  int lifeline = -1;
  int announce = -1;
};

/// One line per event: words on standard error, or JSON lines on standard output. A node that a command started for
/// itself says nothing: the command does.
void report(const NodeOptions& options, const std::string& event, const std::string& detail) {
  if (options.lifeline >= 0) return;
  if (options.json) {
    print_json({{"event", event}, {"node", options.name}, {"detail", detail}});
    flush_output();
  } else {
    fmt::print(stderr, "{}: {}{}{}\n", options.name, event, detail.empty() ? "" : ": ", detail);
  }
}

void refuse_open_door(const NodeOptions& options) {
  if (is_loopback(options.listen)) return;
  core::check(options.insecure, core::Kind::refused,
              "--listen {}: anyone who reaches this address can use the node and read what passes; keys do not exist "
              "yet, so give --insecure to accept that on a network you trust",
              options.listen);
  fmt::print(stderr, "starling: warning: {} is open to everyone who reaches it (--insecure)\n", options.listen);
}

int run_node(NodeOptions options) {
  // Before the first thread starts, which would be free of it.
  const bool confined = !options.data.empty() && confine_reading({options.data, options.states});
  const Lifeline lifeline(options.lifeline);
  if (options.name.empty()) options.name = host_name();
  refuse_open_door(options);
  partition::NodeBudget budget;
  budget.memory_bytes = options.memory.empty() ? 0 : parse_size(options.memory, "--memory");
  budget.threads = options.threads > 0 ? options.threads : describe_machine().cores;
  comm::NodeInfo self = describe_self(options.name, budget.threads);
  if (budget.memory_bytes > 0) self.memory_bytes = budget.memory_bytes;
  const auto services = node_services({budget, options.data, options.states});
  const auto listener = comm::listen(options.listen, self, {});
  announce(options.announce, listener->uri());
  report(options, "waiting for jobs", listener->uri());
  if (!options.data.empty())
    report(options, confined ? "reads no files but its own and the system's" : "could read other files too: this kernel has no Landlock", options.data);
  while (true) {
    auto transport = listener->accept(comm::kNoDeadline);
    report(options, "session", transport->name(0));
    try {
      comm::serve_session(*transport, services);
      report(options, "session ended", "");
    } catch (const core::Error& error) {
      report(options, "session failed", error.what());
    }
    transport.reset();
    ::malloc_trim(0);
  }
}

}  // namespace

std::function<int()> node(CLI::App& app) {
  auto options = std::make_shared<NodeOptions>();
  app.add_option("--listen", options->listen, "where to wait: tcp://HOST:PORT or zmq+tcp://HOST:PORT")
      ->capture_default_str();
  app.add_option("--name", options->name, "how messages call this node (default: the host's name)");
  app.add_option("--memory", options->memory, "most memory that jobs may use, as 512M or 4G");
  app.add_option("--threads", options->threads, "compute threads (default: all cores)")->check(CLI::Range(1, 1024));
  app.add_option("--data", options->data, "folder with this node's examples for federated training (default: STARLING_DATA)");
  app.add_option("--state", options->states, "folder for what federated clients keep between tasks (default: in memory)");
  app.add_flag("--insecure", options->insecure, "listen on an address that others reach, without keys");
  app.add_option("--lifeline", options->lifeline)->group("");
  app.add_option("--announce", options->announce)->group("");
  add_json_flag(app, options->json);
  return [options] { return run_node(*options); };
}

}  // namespace starling::tools

// `starling relay`: the process between the ranks of a local cluster whose links are shaped (--link). The
// program starts it by itself; see tools/relay.h.
#include <sched.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>

#include "core/error.h"
#include "tools/command.h"
#include "tools/hosts.h"
#include "tools/process.h"
#include "tools/relay_loop.h"

namespace starling::tools {
namespace {

struct RelayOptions {
  std::string shape, check;
  std::vector<std::string> targets;
  int lifeline = -1, announce = -1;
  bool json = false;
};

/// The relay stands for wires, which do not wait for a busy processor. Where the system does not allow this, it
/// works at normal priority and the link check says how well.
void run_before_others() {
  const sched_param priority{1};
  if (::sched_setscheduler(0, SCHED_RR, &priority) != 0) ::setpriority(PRIO_PROCESS, 0, -10);
}

int run_relay(const RelayOptions& options) {
  const Lifeline lifeline(options.lifeline);
  run_before_others();
  const int ranks = static_cast<int>(options.targets.size()) + 1;
  // Two nodes of their own for measuring.
  RelayLoop loop(std::vector<sim::LinkSpec>(static_cast<std::size_t>(ranks) + 2, sim::parse_link(options.shape)));
  loop.calibrate(ranks, ranks + 1);
  const comm::Address check = parse_uri(fmt::format("tcp://{}", options.check));
  std::string ports = std::to_string(loop.add_door(ranks, ranks + 1, check.host, check.port));
  for (int from = 0; from < ranks; ++from)
    for (int to = 1; to < ranks; ++to) {
      if (from == to) continue;
      const comm::Address target = parse_uri(fmt::format("tcp://{}", options.targets[static_cast<std::size_t>(to - 1)]));
      ports += fmt::format(" {}", loop.add_door(from, to, target.host, target.port));
    }
  announce(options.announce, ports);
  loop.run();
  return 0;
}

}  // namespace

std::function<int()> relay(CLI::App& app) {
  auto options = std::make_shared<RelayOptions>();
  app.add_option("--shape", options->shape, "of every node's link")->required();
  app.add_option("--check", options->check, "HOST:PORT that the link check listens at")->required();
  app.add_option("--target", options->targets, "HOST:PORT of ranks 1, 2, ...");
  app.add_option("--lifeline", options->lifeline)->group("");
  app.add_option("--announce", options->announce)->group("");
  add_json_flag(app, options->json);
  return [options] { return run_relay(*options); };
}

}  // namespace starling::tools

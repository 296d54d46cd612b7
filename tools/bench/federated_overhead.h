// What the server of a federated run costs, apart from training: clients that train nothing, on node processes over TCP.
#pragma once

namespace starling::tools::bench {

struct OverheadOptions {
  int nodes = 2;      // processes
  int clients = 100;  // all of them in every round, each sent a model of its own as a device would be
  int rounds = 12;    // two of them are not timed: the first and the last
  bool wanted = false, json = false;
};

int measure_overhead(const OverheadOptions& options);

}  // namespace starling::tools::bench

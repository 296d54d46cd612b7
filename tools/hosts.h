// The hosts file: which devices there are, how they are reached, started and weighed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "comm/transports/scheme.h"
#include "sim/link.h"

namespace starling::tools {

/// One [[node]]; only `uri` must be there.
struct Host {
  std::string name;               // of the node in messages; empty: it names itself
  std::string uri;                // tcp://10.0.0.5:7070
  std::string ssh;                // user@host, for up and down; empty: this machine
  std::string program;            // starling over there; empty: "starling"
  std::uint64_t memory_bytes = 0; // 0: not limited
  int threads = 0;                // 0: all cores
  std::optional<double> share;    // of the model; absent: measured
  std::optional<sim::LinkSpec> link;
  std::string profile;            // of the device, for planners and simulations
};

/// Kind::missing / malformed (syntax, a wrong value) / usage (an unknown key, with the nearest known one); each
/// names file, node and key.
std::vector<Host> load_hosts(const std::filesystem::path& file);
std::vector<Host> parse_hosts(std::string_view toml, const std::string& source);

/// "URI,URI,...". Kind::usage for an unknown scheme, a missing port and an address given twice.
std::vector<Host> parse_uris(std::string_view list);

/// The parts of "tcp://host:port", "zmq+tcp://[::1]:port". Kind::usage names what is wrong, and the nearest scheme.
comm::Address parse_uri(std::string_view uri);

}  // namespace starling::tools

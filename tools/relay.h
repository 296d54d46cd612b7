// Shaped links between the processes of a local cluster: one relay process stands between every two ranks and
// delays what passes as sim/link.h says. This is the side of the command that starts it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/group.h"
#include "sim/link.h"
#include "tools/process.h"

namespace starling::tools {

/// What the relay does to traffic, measured through it before it is used.
struct LinkCheck {
  sim::LinkSpec link;           // as asked for
  double round_trip_ms = 0;     // of one byte, median; asked for: twice the delay
  double bytes_per_s = 0;       // of a push of `pushed_bytes`
  std::uint64_t pushed_bytes = 0;
  bool ok = false;              // what was asked for is met within 5 %; a delay also within 0.1 ms of round trip
};

/// "link delay=1ms,rate=300mbit: round trip 2.03 ms (+1.5 %), 37.4 MB/s (-0.3 %): as asked".
std::string to_string(const LinkCheck& check);
nlohmann::json to_json(const LinkCheck& check);

class Relay {
 public:
  /// Rank i + 1 listens at uris[i] (on any address that this machine reaches); rank 0 only calls. Every rank has
  /// an access link of its own, as `link` says. The process ends with this object, or with ours.
  Relay(const sim::LinkSpec& link, const std::vector<std::string>& uris, const std::string& program = kOwnProgram);

  /// Measures, and says the result in one line on standard error. Up to three attempts: the machine may be busy.
  LinkCheck check();

  /// For comm::ConnectOptions::route: the relay's own address on the way from one rank to another.
  std::function<std::string(core::Rank from, core::Rank to, const std::string& uri)> route() const;

 private:
  sim::LinkSpec link_;
  Descriptor check_listener_;
  std::uint16_t check_port_ = 0;  // the relay's door to check_listener_
  std::map<std::pair<core::Rank, core::Rank>, std::uint16_t> ports_;
  Children process_;
};

}  // namespace starling::tools

// What a URI scheme brings to listen() and connect(). One line per scheme in all.def.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "comm/transports/front_door.h"
#include "comm/transports/pipe.h"

namespace starling::comm {

struct Address {
  std::string scheme, host;
  std::uint16_t port = 0;

  /// "tcp://10.0.0.7:7070"; an IPv6 host stands in brackets.
  std::string text() const;
};

/// Kind::usage when `uri` is not scheme://host:port.
Address parse_address(std::string_view uri);

/// Lets strangers in: hands their pipes to a FrontDoor and steps it while it lives.
class Entrance {
 public:
  virtual ~Entrance() = default;
  /// With the port in use.
  virtual Address address() const = 0;
  /// Returns when something may have changed at the door, at the latest at `until`.
  virtual void wait(Deadline until) = 0;
};

/// One scheme in the hands of one node or master.
class Medium {
 public:
  virtual ~Medium() = default;
  /// A connected pipe. Kind::unreachable or timeout names the address.
  virtual std::unique_ptr<Pipe> dial(const Address& address, Deadline deadline) = 0;
  /// For pipes of this medium.
  virtual std::unique_ptr<Sleeper> sleeper() = 0;
  virtual std::unique_ptr<Entrance> open(const Address& address, std::shared_ptr<FrontDoor> door) = 0;
};

struct Scheme {
  std::string_view name;
  std::unique_ptr<Medium> (*medium)(const Limits& limits);
};

/// Kind::usage with the list of known names when `name` is unknown.
const Scheme& scheme(std::string_view name);

}  // namespace starling::comm

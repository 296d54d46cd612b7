// Who is there when: devices that are always there, or come and go by chance, by the time of day or by a list of their
// own. Pure functions of client and time, without memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "federated/server.h"

namespace starling::sim {

class Presence {
 public:
  virtual ~Presence() = default;
  virtual bool there(std::int64_t client, federated::Seconds now) const = 0;
  /// When a client who is there leaves: `now` for who is not, nullopt for who never does. One who stays for more than a
  /// week may be said to leave then.
  virtual std::optional<federated::Seconds> leaves(std::int64_t client, federated::Seconds now) const = 0;
  /// When somebody may come next; nullopt: never.
  virtual std::optional<federated::Seconds> next_change(federated::Seconds now) const = 0;
};

struct PresenceOptions {
  std::string kind = "always";  // one of presence_kinds()
  double share = 0.5;           // bernoulli: how many are there
  double on_s = 600, off_s = 1800;  // markov: mean lengths of staying and being away
  std::uint64_t seed = 1;
};

/// always. bernoulli: drawn anew every ten minutes. diurnal: the same with a probability of 0.05 + 0.35 max(0, sin)^2 by
/// the clock of each device, so that it peaks at its night. markov: exponential lengths, in whole seconds. Kind::usage for
/// an unknown kind or a value out of range.
std::shared_ptr<const Presence> make_presence(const PresenceOptions& options);
std::vector<std::string_view> presence_kinds();

/// The probability that a device is there whose own clock shows `seconds` since its period began.
double diurnal_share(federated::Seconds seconds);

}  // namespace starling::sim

// How a group forms. The master says hello to every node and gives each the addresses of the workers below it;
// the workers connect to each other and report (linked); the master answers with what is missing (linked), and
// every pair that is not missing is a link.
#include "comm/connect.h"

#include <algorithm>
#include <set>

#include "comm/control.h"
#include "comm/heartbeat.h"
#include "comm/transports/piped.h"
#include "comm/transports/scheme.h"

namespace starling::comm {

namespace {

/// For one step with one peer while a group forms, where the caller sets no earlier deadline.
constexpr auto kStepMax = std::chrono::seconds(10);
/// How long a busy node is asked again: its last job may be ending.
constexpr auto kBusyMax = std::chrono::seconds(1);
/// For a link between two workers, which the group can do without.
constexpr auto kPeerMax = std::chrono::seconds(2);

using MissingPairs = std::vector<Linked>;  // by rank: what that rank cannot reach

void send_control(Transport& t, Rank to, Kind kind, const std::vector<std::byte>& payload, Deadline deadline) {
  t.send(to, kind, payload, std::min(deadline, after(kStepMax)));
}

std::vector<std::byte> receive_control(Transport& t, Rank from, Kind kind, Deadline deadline) {
  const Deadline step = std::min(deadline, after(kStepMax));
  const Incoming incoming = t.next(from, step);
  core::check(incoming.kind == kind && incoming.length <= kControlBytesMax, core::Kind::malformed,
              "{}: sent a {} frame of {} bytes, expected {}", t.name(from), to_string(incoming.kind), incoming.length,
              to_string(kind));
  std::vector<std::byte> payload(incoming.length);
  t.read(from, payload, step);
  return payload;
}

/// Ranks that share this rank's machine, itself included, as far as its links show.
void set_policy(PipedTransport& t, int local_links) { t.set_policy(wait_policy(local_links + 1)); }

std::string display(const NodeInfo& node, Rank rank, const std::string& address) {
  return fmt::format("{} ({})", node.name.empty() ? fmt::format("rank {}", rank) : node.name, address);
}

LinkIdentity after_hello(const SessionId& id) { return {0, 0, id.session, id.epoch, 1, 1}; }

class NodeListener final : public Listener {
 public:
  NodeListener(const Scheme& scheme, const Address& address, const NodeInfo& self, const Limits& limits)
      : scheme_(scheme.name),
        limits_(limits),
        medium_(scheme.medium(limits)),
        door_(std::make_shared<FrontDoor>(self)),
        entrance_(medium_->open(address, door_)) {}

  ~NodeListener() override {
    entrance_.reset();
    door_->close();
  }

  std::string uri() const override { return entrance_->address().text(); }

  std::unique_ptr<Transport> accept(Deadline deadline) override {
    for (;;) {
      std::optional<Arrival> master = door_->take_master();
      if (master) {
        try {
          return follow(std::move(*master));
        } catch (const core::Error&) {
          continue;  // that master has heard it, or is gone; the next one may do better
        }
      }
      core::check(Clock::now() < deadline, core::Kind::timeout, "{}: no master called", uri());
      entrance_->wait(deadline);
    }
  }

 private:
  std::unique_ptr<Transport> follow(Arrival master) {
    const auto running = std::shared_ptr<void>(nullptr, [door = door_](void*) { door->end(); });
    const auto rank = static_cast<Rank>(master.hello.your_rank);
    const auto size = static_cast<Rank>(master.hello.size);
    std::vector<std::string> names;
    for (Rank i = 0; i < size; ++i) names.push_back(fmt::format("rank {}", i));
    names[0] = display(master.hello.node, 0, master.address);
    names[static_cast<std::size_t>(rank)] = display(door_->self(), rank, uri());
    auto transport = std::make_unique<PipedTransport>(rank, std::move(names), limits_, wait_policy(size),
                                                      medium_->sleeper());
    transport->keep(running);
    const Hello answer{Role::node, master.hello.your_rank, 0, master.hello.size, door_->self()};
    const std::string address = master.address;
    int local = master.pipe->same_machine() ? 1 : 0;
    core::check(write_short(*master.pipe, hello_frame(answer, master.id)), core::Kind::unreachable,
                "{}: closed the connection during the handshake", address);
    transport->add(0, after_hello(master.id), std::move(master.pipe));
    try {
      const Heartbeat heart(*transport, limits_.heartbeat_every);  // calling the others may take a while
      local += reach_lower(*transport, master.id);
      local += take_higher(*transport, master.id);
    } catch (const core::Error& error) {
      abort_session(*transport, error);
      throw;
    }
    set_policy(*transport, local);
    return transport;
  }

  /// Connects to the workers of lower rank and reports which could not be reached.
  int reach_lower(PipedTransport& t, const SessionId& id) {
    const auto payload = receive_control(t, 0, Kind::peers, kNoDeadline);
    const std::vector<std::string> addresses = decode_peers(payload, t.name(0));
    core::check(addresses.size() == static_cast<std::size_t>(t.rank()) - 1, core::Kind::malformed,
                "{}: {} addresses for rank {}", t.name(0), addresses.size(), t.rank());
    int local = 0;
    Linked report;
    for (Rank peer = 1; peer < t.rank(); ++peer) {
      const std::string& text = addresses[static_cast<std::size_t>(peer) - 1];
      try {
        const Deadline deadline = after(kPeerMax);
        const Address address = parse_address(text);
        core::check(address.scheme == scheme_, core::Kind::usage, "{}: this node speaks {}", text, scheme_);
        std::unique_ptr<Pipe> pipe = medium_->dial(address, deadline);
        const auto sleeper = medium_->sleeper();
        const Hello hello{Role::peer, static_cast<std::uint32_t>(t.rank()), static_cast<std::uint32_t>(peer),
                          static_cast<std::uint32_t>(t.size()), door_->self()};
        const Hello theirs = greet(*pipe, *sleeper, text, hello, id, deadline);
        local += pipe->same_machine() ? 1 : 0;
        t.rename(peer, display(theirs.node, peer, text));
        t.add(peer, after_hello(id), std::move(pipe));
      } catch (const core::Error& error) {
        report.unreachable.push_back(static_cast<std::uint32_t>(peer));
        report.reasons.emplace_back(error.what());
      }
    }
    send_control(t, 0, Kind::linked, encode_linked(report), kNoDeadline);
    return local;
  }

  /// Takes the connections of higher ranks, but for those that the master says are missing.
  int take_higher(PipedTransport& t, const SessionId& id) {
    const auto payload = receive_control(t, 0, Kind::linked, kNoDeadline);
    const Linked missing = decode_linked(payload, t.name(0));
    const std::set<std::uint32_t> without(missing.unreachable.begin(), missing.unreachable.end());
    const Deadline deadline = after(kPeerMax);
    int local = 0;
    for (Rank peer = t.rank() + 1; peer < t.size(); ++peer) {
      if (without.count(static_cast<std::uint32_t>(peer)) > 0) continue;
      std::optional<Arrival> arrival = door_->take_peer(peer);
      while (!arrival) {
        core::check(Clock::now() < deadline, core::Kind::timeout, "{}: did not connect to {}", t.name(peer), uri());
        entrance_->wait(std::min(deadline, after(std::chrono::milliseconds(20))));
        arrival = door_->take_peer(peer);
      }
      local += arrival->pipe->same_machine() ? 1 : 0;
      t.rename(peer, display(arrival->hello.node, peer, arrival->address));
      t.add(peer, after_hello(id), std::move(arrival->pipe));
    }
    return local;
  }

  const std::string_view scheme_;
  const Limits limits_;
  std::unique_ptr<Medium> medium_;
  std::shared_ptr<FrontDoor> door_;
  std::unique_ptr<Entrance> entrance_;
};

/// A connection to one node, tried again for a moment while the node is busy.
std::unique_ptr<Pipe> call(Medium& medium, const Address& address, const ConnectOptions& options,
                           const Hello& hello, Hello& theirs) {
  const Deadline deadline = std::min(options.deadline, after(kStepMax));
  const Deadline busy_until = std::min(deadline, after(kBusyMax));
  const auto sleeper = medium.sleeper();
  for (;;) {
    std::unique_ptr<Pipe> pipe = medium.dial(address, deadline);
    try {
      theirs = greet(*pipe, *sleeper, address.text(), hello, {options.session, options.epoch}, deadline);
      return pipe;
    } catch (const core::Error& error) {
      const std::string busy = fmt::format("{}: refused: {}", address.text(), kBusy);
      const bool again = error.kind() == core::Kind::refused && std::string_view(error.what()).substr(0, busy.size()) == busy;
      if (!again || Clock::now() >= busy_until) throw;
    }
    pipe.reset();
    sleeper->sleep({}, std::min(busy_until, after(std::chrono::milliseconds(20))));
  }
}

std::string route(const ConnectOptions& options, Rank from, Rank to, const std::string& uri) {
  const std::string routed = options.route ? options.route(from, to, uri) : uri;
  return routed.empty() ? uri : routed;
}

/// Both ends of every missing link learn of it; the sentence tells the caller.
std::string merge(const Transport& t, MissingPairs& missing, const MissingPairs& reports) {
  std::string sentence;
  for (std::size_t rank = 1; rank < reports.size(); ++rank) {
    for (std::size_t i = 0; i < reports[rank].unreachable.size(); ++i) {
      const std::uint32_t peer = reports[rank].unreachable[i];
      const std::string& reason = reports[rank].reasons[i];
      core::check(peer >= 1 && peer < rank, core::Kind::malformed, "{}: reports rank {} as unreachable",
                  t.name(static_cast<Rank>(rank)), peer);
      missing[rank].unreachable.push_back(peer);
      missing[rank].reasons.push_back(reason);
      missing[peer].unreachable.push_back(static_cast<std::uint32_t>(rank));
      missing[peer].reasons.push_back(reason);
      sentence += fmt::format("{}{} cannot reach {}: {}", sentence.empty() ? "" : "; ",
                              t.name(static_cast<Rank>(rank)), t.name(static_cast<Rank>(peer)), reason);
    }
  }
  return sentence;
}

/// Lets the workers connect to each other.
std::string lead(Transport& t, std::span<const std::string> uris, const ConnectOptions& options) {
  const auto size = static_cast<std::size_t>(t.size());
  for (Rank rank = 1; rank < t.size(); ++rank) {
    std::vector<std::string> addresses;
    for (Rank lower = 1; lower < rank; ++lower)
      addresses.push_back(route(options, rank, lower, uris[static_cast<std::size_t>(lower) - 1]));
    send_control(t, rank, Kind::peers, encode_peers(addresses), options.deadline);
  }
  MissingPairs reports(size), missing(size);
  for (Rank rank = 1; rank < t.size(); ++rank) {
    // A worker tries its links one after the other, each within kPeerMax.
    const Deadline deadline = std::min(options.deadline, after(kStepMax + kPeerMax * rank));
    const Incoming incoming = t.next(rank, deadline);
    core::check(incoming.length <= kControlBytesMax, core::Kind::malformed, "{}: sent {} bytes", t.name(rank),
                incoming.length);
    reports[static_cast<std::size_t>(rank)] =
        decode_linked(receive_control(t, rank, Kind::linked, options.deadline), t.name(rank));
  }
  const std::string sentence = merge(t, missing, reports);
  for (Rank rank = 1; rank < t.size(); ++rank)
    send_control(t, rank, Kind::linked, encode_linked(missing[static_cast<std::size_t>(rank)]), options.deadline);
  return sentence;
}

}  // namespace

std::unique_ptr<Listener> listen(std::string_view uri, const NodeInfo& self, const Limits& limits) {
  const Address address = parse_address(uri);
  return std::make_unique<NodeListener>(scheme(address.scheme), address, self, limits);
}

Connected connect(std::span<const std::string> uris, const ConnectOptions& options) {
  core::check(!uris.empty() && uris.size() < kRanksMax, core::Kind::usage, "a group of {} nodes, expected 1 to {}",
              uris.size(), kRanksMax - 1);
  const Scheme& kind = scheme(parse_address(uris[0]).scheme);
  const std::unique_ptr<Medium> medium = kind.medium(options.limits);
  const auto size = static_cast<std::uint32_t>(uris.size() + 1);
  std::vector<std::string> names{display(options.self, 0, "master")};
  for (std::size_t i = 0; i < uris.size(); ++i) names.push_back(uris[i]);
  auto transport = std::make_unique<PipedTransport>(0, std::move(names), options.limits, wait_policy(static_cast<int>(size)),
                                                    medium->sleeper());
  Connected connected;
  connected.nodes.push_back(options.self);
  int local = 0;
  try {
    const Heartbeat heart(*transport, options.limits.heartbeat_every);  // for those who came before the last
    for (std::uint32_t rank = 1; rank < size; ++rank) {
      const std::string text = route(options, 0, static_cast<Rank>(rank), uris[rank - 1]);
      const Address address = parse_address(text);
      core::check(address.scheme == kind.name, core::Kind::usage, "{}: all nodes of a group speak one protocol, here {}",
                  text, kind.name);
      Hello theirs;
      std::unique_ptr<Pipe> pipe =
          call(*medium, address, options, {Role::master, 0, rank, size, options.self}, theirs);
      local += pipe->same_machine() ? 1 : 0;
      transport->rename(static_cast<Rank>(rank), display(theirs.node, static_cast<Rank>(rank), text));
      transport->add(static_cast<Rank>(rank), after_hello({options.session, options.epoch}), std::move(pipe));
      connected.nodes.push_back(theirs.node);
    }
    connected.missing_links = lead(*transport, uris, options);
  } catch (const core::Error& error) {
    abort_session(*transport, error);
    throw;
  }
  set_policy(*transport, local);
  connected.transport = std::move(transport);
  return connected;
}

}  // namespace starling::comm

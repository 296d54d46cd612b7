// The Transport of all four kinds: waits, deadlines, silence and fairness over one Link per peer.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "comm/transports/link.h"

namespace starling::comm {

class PipedTransport final : public Transport {
 public:
  /// `names` by rank. Links are added afterwards, before the transport is used by others.
  PipedTransport(Rank rank, std::vector<std::string> names, const Limits& limits, const WaitPolicy& policy,
                 std::unique_ptr<Sleeper> sleeper);
  /// Says goodbye to all peers without waiting, unless an exception is what ends it.
  ~PipedTransport() override;

  /// session, epoch and sequences as in `identity`; its ranks are set here. Heartbeats may run meanwhile.
  void add(Rank peer, LinkIdentity identity, std::unique_ptr<Pipe> pipe);
  void set_policy(const WaitPolicy& policy) { policy_ = policy; }
  void rename(Rank peer, std::string name) { names_.at(static_cast<std::size_t>(peer)) = std::move(name); }
  /// Puts a decorator around the pipe to `peer`, for tests of faults.
  void decorate(Rank peer, const std::function<std::unique_ptr<Pipe>(std::unique_ptr<Pipe>)>& wrap);
  /// Lives as long as the transport: what must hear of its end.
  void keep(std::shared_ptr<void> token) { kept_ = std::move(token); }

  Rank rank() const override { return rank_; }
  Rank size() const override { return static_cast<Rank>(links_.size()); }
  std::string name(Rank peer) const override;
  void send(Rank to, Kind kind, core::Bytes payload, Deadline deadline) override;
  Incoming next(Rank from, Deadline deadline) override;
  void read(Rank from, std::span<std::byte> into, Deadline deadline) override;
  Rank wait_any(std::span<const Rank> among, Deadline deadline) override;
  void send_heartbeats() override;
  Counters counters(Rank peer) const override;

 private:
  Link& link(Rank peer) const;
  /// Waits until done() holds, asking in the way of policy_. While it sleeps it takes in what other peers
  /// send, and fails when one of them did; links of `asked` are left to done().
  template <class Done>
  void wait(std::span<const Rank> asked, const Link* writing, const char* what, Deadline deadline, Done done);
  void look_around(std::span<const Rank> asked, const Link* writing, Clock::time_point start);
  void sleep(std::span<const Rank> asked, const Link* writing, Clock::time_point start, Deadline deadline);
  [[noreturn]] void timed_out(std::span<const Rank> asked, const char* what, Clock::time_point start) const;

  Rank rank_;
  std::vector<std::string> names_;
  Limits limits_;
  WaitPolicy policy_;
  std::shared_ptr<void> kept_;  // released after the links and the sleeper
  std::unique_ptr<Sleeper> sleeper_;
  std::mutex links_mutex_;  // add() and decorate() by the owner against send_heartbeats()
  std::vector<std::unique_ptr<Link>> links_;  // none for this rank itself and for peers that cannot be reached
  std::vector<Interest> interests_;
  Clock::time_point next_heartbeat_;
  std::uint64_t served_ = 0;
  int exceptions_at_start_;
};

}  // namespace starling::comm

#include "comm/transports/piped.h"

#include <algorithm>
#include <exception>
#include <thread>

#include <sched.h>

namespace starling::comm {

namespace {

double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

bool contains(std::span<const Rank> ranks, std::size_t rank) {
  return std::find(ranks.begin(), ranks.end(), static_cast<Rank>(rank)) != ranks.end();
}

/// Cores this process may use.
int cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace

WaitPolicy wait_policy(int ranks_here) {
  WaitPolicy policy;
  if (2 * ranks_here <= cores()) policy.spin = std::chrono::microseconds(50);  // cores to spare
  return policy;
}

PipedTransport::PipedTransport(Rank rank, std::vector<std::string> names, const Limits& limits,
                               const WaitPolicy& policy, std::unique_ptr<Sleeper> sleeper)
    : rank_(rank),
      names_(std::move(names)),
      limits_(limits),
      policy_(policy),
      sleeper_(std::move(sleeper)),
      links_(names_.size()),
      next_heartbeat_(Clock::now() + limits.heartbeat_every),
      exceptions_at_start_(std::uncaught_exceptions()) {
  interests_.reserve(names_.size());
}

PipedTransport::~PipedTransport() {
  if (std::uncaught_exceptions() > exceptions_at_start_) return;
  for (const auto& one : links_) {
    if (!one || one->failed() || one->ended()) continue;
    one->acquire_sending();
    one->start_frame(Kind::goodbye, {});
    one->push();
    one->release_sending();
  }
}

void PipedTransport::add(Rank peer, LinkIdentity identity, std::unique_ptr<Pipe> pipe) {
  identity.self = rank_;
  identity.peer = peer;
  const auto index = static_cast<std::size_t>(peer);
  const std::lock_guard lock(links_mutex_);
  links_.at(index) = std::make_unique<Link>(identity, names_.at(index), std::move(pipe), limits_);
}

void PipedTransport::decorate(Rank peer, const std::function<std::unique_ptr<Pipe>(std::unique_ptr<Pipe>)>& wrap) {
  const std::lock_guard lock(links_mutex_);
  link(peer).decorate(wrap);
}

std::string PipedTransport::name(Rank peer) const { return names_.at(static_cast<std::size_t>(peer)); }

Link& PipedTransport::link(Rank peer) const {
  core::check(peer >= 0 && peer < size() && peer != rank_, core::Kind::usage, "rank {} has no peer of rank {} among {}",
              rank_, peer, size());
  Link* found = links_[static_cast<std::size_t>(peer)].get();
  core::check(found != nullptr, core::Kind::unreachable, "{}: no link from {}", name(peer), name(rank_));
  return *found;
}

void PipedTransport::timed_out(std::span<const Rank> asked, const char* what, Clock::time_point start) const {
  std::string who;
  for (const Rank peer : asked) who += (who.empty() ? "" : ", ") + name(peer);
  core::fail(core::Kind::timeout, "{}: {} within {:.2f} s", who, what, seconds(Clock::now() - start));
}

/// Takes in what has arrived on the links nobody waits for, and finds peers that failed or fell silent.
void PipedTransport::look_around(std::span<const Rank> asked, const Link* writing, Clock::time_point start) {
  for (std::size_t i = 0; i < links_.size(); ++i) {
    Link* one = links_[i].get();
    if (!one || one->failed()) continue;
    const bool awaited = contains(asked, i);
    if (!awaited || one == writing) one->take_in();
  }
  const Clock::time_point now = Clock::now();
  for (std::size_t i = 0; i < links_.size(); ++i) {
    Link* one = links_[i].get();
    if (!one || (one->left() && !contains(asked, i))) continue;
    const Clock::duration quiet = now - std::max(start, one->last_heard());
    if (!one->failed() && !one->blocked() && quiet > limits_.silence_max)
      one->fail(core::Kind::unreachable, fmt::format("silent for {:.1f} s", seconds(quiet)));
    if (one->failed() && !contains(asked, i)) throw core::Error(one->failure());
  }
  if (now >= next_heartbeat_) {
    next_heartbeat_ = now + limits_.heartbeat_every;
    send_heartbeats();
  }
}

void PipedTransport::sleep(std::span<const Rank> asked, const Link* writing, Clock::time_point start,
                           Deadline deadline) {
  interests_.clear();
  Deadline until = std::min(deadline, next_heartbeat_);
  for (std::size_t i = 0; i < links_.size(); ++i) {
    Link* one = links_[i].get();
    if (!one || one->failed()) continue;
    const bool reads = one->listening() || (contains(asked, i) && one != writing);
    if (reads || one == writing) interests_.push_back({&one->pipe(), reads, one == writing});
    if (reads) until = std::min(until, std::max(start, one->last_heard()) + limits_.silence_max);
  }
  sleeper_->sleep(interests_, until);
}

template <class Done>
void PipedTransport::wait(std::span<const Rank> asked, const Link* writing, const char* what, Deadline deadline,
                          Done done) {
  const Clock::time_point start = Clock::now();
  Clock::time_point now = start;
  do {
    if (done()) return;
    now = Clock::now();
  } while (now - start < policy_.spin && now < deadline);
  const Clock::time_point awake_until = std::min(deadline, start + policy_.awake_max);
  for (int turn = 0; turn < policy_.turns && Clock::now() < awake_until; ++turn) {
    sched_yield();
    if (done()) return;
  }
  for (;;) {
    look_around(asked, writing, start);
    if (done()) return;
    if (Clock::now() >= deadline) timed_out(asked, what, start);
    sleep(asked, writing, start, deadline);
  }
}

void PipedTransport::send(Rank to, Kind kind, core::Bytes payload, Deadline deadline) {
  Link& out = link(to);
  if (out.failed()) throw core::Error(out.failure());
  core::check(payload.size() <= limits_.frame_bytes_max, core::Kind::overloaded,
              "{}: a frame of {} bytes is above the limit of {}", out.name(), payload.size(), limits_.frame_bytes_max);
  out.acquire_sending();
  out.start_frame(kind, payload);
  out.push();
  if (!out.frame_sent() && !out.failed()) {
    const Rank asked[] = {to};
    Clock::time_point progress = Clock::now();
    try {
      wait(asked, &out, "took no more data", deadline, [&] {
        if (out.push() > 0) progress = Clock::now();
        const bool stuck = out.blocked() && Clock::now() - progress > limits_.silence_max;
        core::check(!stuck, core::Kind::overloaded,
                    "{}: both sides send to each other and neither reads: {} bytes are queued at most", out.name(),
                    limits_.queue_bytes_max);
        return out.frame_sent() || out.failed();
      });
    } catch (const core::Error& error) {
      out.abandon_frame(error);
      out.release_sending();
      throw;
    }
  }
  out.release_sending();
  if (out.failed() && !out.frame_sent()) throw core::Error(out.failure());
}

Incoming PipedTransport::next(Rank from, Deadline deadline) {
  Link& in = link(from);
  if (!in.poll()) {
    const Rank asked[] = {from};
    wait(asked, nullptr, "sent nothing", deadline, [&] { return in.poll(); });
  }
  const Header& header = in.front();
  return {header.kind, header.length};
}

void PipedTransport::read(Rank from, std::span<std::byte> into, Deadline deadline) {
  Link& in = link(from);
  const Incoming incoming = next(from, deadline);
  core::check(incoming.length == into.size(), core::Kind::usage, "{}: a {} frame of {} bytes read into {} bytes",
              in.name(), to_string(incoming.kind), incoming.length, into.size());
  if (in.pull(into)) return;
  const Rank asked[] = {from};
  try {
    wait(asked, nullptr, "did not finish a frame", deadline, [&] { return in.pull(into); });
  } catch (const core::Error& error) {
    in.fail(error.kind(), fmt::format("a frame was cut short by: {}", error.what()));  // its bytes are lost
    throw;
  }
}

Rank PipedTransport::wait_any(std::span<const Rank> among, Deadline deadline) {
  core::check(!among.empty(), core::Kind::usage, "rank {} waits for any of no peers", rank_);
  Link* chosen = nullptr;
  Rank result = -1;
  const auto look = [&] {
    for (const Rank peer : among) {
      Link& one = link(peer);
      if (!one.poll() || (chosen && chosen->served <= one.served)) continue;
      chosen = &one;
      result = peer;
    }
    return chosen != nullptr;
  };
  if (!look()) wait(among, nullptr, "sent nothing", deadline, look);
  chosen->served = ++served_;
  return result;
}

void PipedTransport::send_heartbeats() {
  {
    const std::lock_guard lock(links_mutex_);
    for (const auto& one : links_) {
      if (!one || !one->try_acquire_sending()) continue;
      one->heartbeat();
      one->release_sending();
    }
  }
  sleeper_->housekeep();
}

Counters PipedTransport::counters(Rank peer) const { return link(peer).counters(); }

}  // namespace starling::comm
